"""Settings of an evaluation: several variants answer the same labelled items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from OnPolicyDistill.settings.problems import Contradiction, refuse
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.settings.strict import Settings

Grading = Literal["auto", "labels", "exact", "contains", "boxed"]


class VariantSettings(Settings):
    """One way to answer: a model, perhaps with an adapter, perhaps with a prompt."""

    name: str = Field(
        min_length=1, max_length=80, title="Variant", description="What tables and plots call it."
    )
    model: str = Field(
        min_length=1, title="Model", description="Registry alias, hub id or folder of the model."
    )
    adapter: str | None = Field(None, title="Adapter", description="Folder of a LoRA adapter.")
    prompt: str | None = Field(None, title="Prompt", description="Text file with a system prompt.")
    max_answer_tokens: int = Field(
        2048,
        ge=1,
        le=131_072,
        title="Longest answer",
        description="Longest answer, thinking included.",
    )


class EvaluationSettings(SightSettings):
    """Variants, what they are asked, and how their answers are read."""

    run_name: str | None = Field(
        None,
        max_length=120,
        title="Name of the run",
        description="A name for people; the run's id is made by itself.",
    )
    variants: tuple[VariantSettings, ...] = Field(
        (),
        max_length=16,
        title="Variants",
        description="Who answers; at least one, each with its own name.",
    )
    inputs: str | None = Field(
        None, title="Items", description="Labelled items: one text a line, JSONL or CSV; required."
    )
    labels: tuple[str, ...] | None = Field(
        None, title="Labels", description="The answers that count; empty takes those of the items."
    )
    grading: Grading = Field(
        "auto",
        title="Grading",
        description="labels: a reply names one of a few labels; exact, contains, boxed: free "
        "answers that are the gold one, hold it, or have it in their box; auto: as the items look.",
    )
    answer_prefix: str = Field(
        "Final Answer:",
        title="Text before the label",
        description="What stands before the label in a reply; without it the whole reply counts.",
    )
    teacher: str | None = Field(
        None,
        title="Variant that teaches",
        description="Name of the variant that the others are compared with, besides gold.",
    )
    temperature: float = Field(
        0.0,
        ge=0,
        le=4,
        title="Sampling temperature",
        description="Temperature of the answers; 0 takes the likeliest token.",
    )
    batch_size: int = Field(
        8, ge=1, le=1024, title="Batch size", description="Items answered side by side."
    )
    max_samples: int | None = Field(
        None,
        ge=1,
        title="Most items",
        description="At most this many items, drawn once for all variants.",
    )
    mixed_precision: bool = Field(
        True,
        title="Mixed precision",
        description="Keep weights in the type they are stored in; off loads float32.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Random seed", description="Where every random choice starts."
    )

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
