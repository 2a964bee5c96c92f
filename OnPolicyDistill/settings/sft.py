"""Settings of supervised fine-tuning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from OnPolicyDistill.settings.problems import refuse
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.settings.training import LoraSettings, OptimizerSettings

Thinking = Literal["keep", "strip"]


class SftSettings(SightSettings, OptimizerSettings):
    """Supervised fine-tuning on given completions; the loss sees the assistant's tokens only."""

    model: str = Field(
        "qwen2.5-1.5b",
        min_length=1,
        title="Model",
        description="Registry alias, hub id or folder of the model.",
    )
    student_adapter: str | None = Field(
        None,
        title="Adapter to go on from",
        description="Folder of a LoRA adapter to continue from, for example of another run.",
    )
    conversations: str | None = Field(
        None,
        title="Training conversations",
        description="JSONL file of training conversations; required to train.",
    )
    validation_conversations: str | None = Field(
        None, title="Validation conversations", description="JSONL file of held-out conversations."
    )
    max_length: int = Field(
        2048,
        ge=2,
        le=131_072,
        title="Longest conversation",
        description="Longer conversations are left out and counted.",
    )
    thinking: Thinking = Field(
        "keep",
        title="Thinking",
        description="keep learns the reasoning of assistant's turns as well, where they have any; "
        "strip takes it out.",
    )
    length_buckets: bool = Field(
        False,
        title="Batches of equal length",
        description="Rows of similar length share a micro-batch, so that less of it is padding. "
        "Every row still comes once an epoch.",
    )
    lora: LoraSettings | None = Field(
        default_factory=LoraSettings,
        title="LoRA adapter",
        description="The adapter; empty trains every weight (small models only).",
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> SftSettings:
        if self.student_adapter is not None and self.lora is None:
            reason = "an adapter that learns needs lora; leave student_adapter or lora as it was"
            refuse(self, [("student_adapter", reason)])
        return self
