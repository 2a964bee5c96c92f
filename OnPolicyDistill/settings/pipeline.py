"""Settings of a pipeline: stages that hand their adapters on, and what is compared in the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from OnPolicyDistill.settings.problems import Contradiction, refuse
from OnPolicyDistill.settings.strict import Settings

StageMethod = Literal[
    "sft", "grpo", "prompt_distillation", "on_policy", "vlm_distillation", "evaluation"
]
Baseline = Literal["adjacency", "majority", "length"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$"
# Of the runs that the comparison adds: no stage of the user's may be called so.
COMPARED = "answers-of-"

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class StageSettings(Settings):
    """One stage: an ordinary run, whose settings are those of a preset or file, and its own."""

    model_config = ConfigDict(validate_by_name=True)

    name: Name = Field(title="Stage", description="What later stages and the table call it.")
    method: StageMethod | None = Field(
        None, title="Method", description="What it does; may be left out where `config` says it."
    )
    config: str | None = Field(
        None,
        title="Config",
        description="A preset's name or a YAML file to start from; else the defaults.",
    )
    settings: dict[str, JsonValue] = Field(
        {},
        title="Settings",
        description="Settings of the method's block that differ, such as lora.rank: 8.",
    )
    start: Name | None = Field(
        None,
        alias="from",
        title="Starts from",
        description="An earlier stage: this one goes on from its adapter, on the same model.",
    )


def _named(value: object) -> object:
    """A stage's name alone stands for the variant of that stage."""
    return {"stage": value} if isinstance(value, str) else value


class ComparedSettings(Settings):
    """A variant that answers: a stage's adapter, or a model as it is."""

    name: Annotated[str, Field(min_length=1, max_length=60)] | None = Field(
        None,
        title="Name",
        description="What the table calls it; empty takes the stage's or the model's name.",
    )
    stage: Name | None = Field(
        None, title="Stage", description="The stage whose best adapter answers."
    )
    model: str | None = Field(
        None,
        min_length=1,
        title="Model",
        description="Alias, hub id or folder of a model that was not trained.",
    )
    prompt: str | None = Field(None, title="Prompt", description="Text file with a system prompt.")

    @property
    def title(self) -> str:
        """What the table calls it."""
        return self.name or self.stage or str(self.model).rstrip("/").rpartition("/")[2]

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> ComparedSettings:
        if (self.stage is None) == (self.model is None):
            refuse(self, [("stage", "a variant names a stage or a model, one of the two")])
        return self


Compared = Annotated[ComparedSettings, BeforeValidator(_named)]


class CompareSettings(Settings):
    """Variants on the same held-out items, and what needs no model at all."""

    inputs: str = Field(
        min_length=1, title="Items", description="Held-out labelled items: text, JSONL or CSV."
    )
    variants: tuple[Compared, ...] = Field(
        min_length=1,
        max_length=24,
        title="Variants",
        description="Who answers: names of stages, or models.",
    )
    baselines: tuple[Baseline, ...] = Field(
        ("adjacency", "majority", "length"),
        title="Baselines",
        description="Rules that look at the items alone; those that the items allow stand below "
        "the variants.",
    )
    labels: tuple[str, ...] | None = Field(
        None, title="Labels", description="The answers that count; empty takes those of the items."
    )
    answer_prefix: str = Field(
        "Final Answer:",
        title="Text before the label",
        description="What stands before the label in a reply; without it the whole reply counts.",
    )
    max_answer_tokens: int = Field(
        2048,
        ge=1,
        le=131_072,
        title="Longest answer",
        description="Longest answer, thinking included.",
    )
    max_samples: int | None = Field(
        None,
        ge=1,
        title="Most items",
        description="At most this many items, drawn once for all variants.",
    )
    batch_size: int = Field(
        8, ge=1, le=1024, title="Batch size", description="Items answered side by side."
    )
    mixed_precision: bool = Field(
        True,
        title="Mixed precision",
        description="Keep weights in the type they are stored in; off loads float32.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Random seed", description="Where every random choice starts."
    )


class PipelineSettings(Settings):
    """Stages in the order in which they run, and the table at their end."""

    name: str = Field(
        min_length=1,
        max_length=80,
        title="Name of the pipeline",
        description="What people call it.",
    )
    stages: tuple[StageSettings, ...] = Field(
        min_length=1,
        max_length=64,
        title="Stages",
        description="Ordinary runs, one after the other.",
    )
    compare: CompareSettings | None = Field(
        None, title="Comparison", description="What the table compares; without it there is none."
    )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> PipelineSettings:
        refuse(self, [*self._wrong_stages(), *self._wrong_variants()])
        return self

    def _wrong_stages(self) -> Iterator[Contradiction]:
        earlier: list[str] = []
        for place, stage in enumerate(self.stages):
            if stage.name in earlier:
                yield f"stages.{place}.name", f"two stages are called {stage.name}"
            if stage.name.startswith(COMPARED):
                yield f"stages.{place}.name", f"names of the comparison begin with {COMPARED}"
            if stage.start is not None and stage.start not in earlier:
                yield f"stages.{place}.from", f"there is no earlier stage {stage.start}"
            earlier.append(stage.name)

    def _wrong_variants(self) -> Iterator[Contradiction]:
        names = [stage.name for stage in self.stages]
        titles: list[str] = []
        for place, variant in enumerate(self.compare.variants if self.compare else ()):
            where = f"compare.variants.{place}"
            if variant.stage is not None and variant.stage not in names:
                yield f"{where}.stage", f"there is no stage {variant.stage}"
            if variant.title in titles:
                yield f"{where}.name", f"two variants are called {variant.title}"
            titles.append(variant.title)
