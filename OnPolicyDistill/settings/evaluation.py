"""Settings of an evaluation: several variants answer the same labelled items."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator

from OnPolicyDistill.settings.problems import Contradiction, refuse
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.settings.strict import Settings


class VariantSettings(Settings):
    """One way to answer: a model, perhaps with an adapter, perhaps with a prompt."""

    name: str = Field(min_length=1, max_length=80, description="What tables and plots call it.")
    model: str = Field(min_length=1, description="Registry alias, hub id or folder of the model.")
    adapter: str | None = Field(None, description="Folder of a LoRA adapter.")
    prompt: str | None = Field(None, description="Text file with a system prompt.")
    max_answer_tokens: int = Field(
        2048, ge=1, le=131_072, description="Longest answer, thinking included."
    )


class EvaluationSettings(SightSettings):
    """Variants, what they are asked, and how their answers are read."""

    run_name: str | None = Field(
        None, max_length=120, description="A name for people; the run's id is made by itself."
    )
    variants: tuple[VariantSettings, ...] = Field(
        (), max_length=16, description="Who answers; at least one, each with its own name."
    )
    inputs: str | None = Field(
        None, description="Labelled items: one text a line, JSONL or CSV; required."
    )
    labels: tuple[str, ...] | None = Field(
        None, description="The answers that count; empty takes those of the items."
    )
    answer_prefix: str = Field(
        "Final Answer:",
        description="What stands before the label in a reply; without it the whole reply counts.",
    )
    teacher: str | None = Field(
        None, description="Name of the variant that the others are compared with, besides gold."
    )
    temperature: float = Field(
        0.0, ge=0, le=4, description="Temperature of the answers; 0 takes the likeliest token."
    )
    batch_size: int = Field(8, ge=1, le=1024, description="Items answered side by side.")
    max_samples: int | None = Field(
        None, ge=1, description="At most this many items, drawn once for all variants."
    )
    mixed_precision: bool = Field(
        True, description="Keep weights in the type they are stored in; off loads float32."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Where every random choice starts.")

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> EvaluationSettings:
        refuse(self, self._contradictions())
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        names = [variant.name for variant in self.variants]
        for number, name in enumerate(names):
            if name in names[:number]:
                yield f"variants.{number}.name", "two variants have the same name"
        if self.teacher is not None and self.teacher not in names:
            yield "teacher", f"teacher names no variant: {self.teacher}"
