"""Settings of supervised fine-tuning."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.settings.training import LoraSettings, OptimizerSettings

Thinking = Literal["keep", "strip"]


class SftSettings(SightSettings, OptimizerSettings):
    """Supervised fine-tuning on given completions; the loss sees the assistant's tokens only."""

    model: str = Field(
        "qwen2.5-1.5b", min_length=1, description="Registry alias, hub id or folder of the model."
    )
    conversations: str | None = Field(
        None, description="JSONL file of training conversations; required to train."
    )
    validation_conversations: str | None = Field(
        None, description="JSONL file of held-out conversations."
    )
    max_length: int = Field(
        2048, ge=2, le=131_072, description="Longer conversations are left out and counted."
    )
    thinking: Thinking = Field(
        "keep",
        description="keep learns the reasoning of assistant's turns as well, where they have any; "
        "strip takes it out.",
    )
    length_buckets: bool = Field(
        False,
        description="Rows of similar length share a micro-batch, so that less of it is padding. "
        "Every row still comes once an epoch.",
    )
    lora: LoraSettings | None = Field(
        default_factory=LoraSettings,
        description="The adapter; empty trains every weight (small models only).",
    )
