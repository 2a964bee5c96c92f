"""Settings of distilling vision-language models: on-policy, with pictures in the prompts.

Everything of on-policy distillation holds; other defaults follow from what is learned. A rate of
1e-4 at rank 32 moves an adapter on thinking models, whose completions are long; at temperature 1
without hard labels the loss is the divergence that held-out numbers measure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from pydantic import Field

from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.problems import Contradiction
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.settings.training import LoraSettings

STUDENT_VARIABLE, TEACHER_VARIABLE = "OPD_STUDENT_MODEL", "OPD_TEACHER_MODEL"


def _from_environment(variable: str, otherwise: str) -> Callable[[], str]:
    """The environment's model, where a config names none."""
    return lambda: os.environ.get(variable) or otherwise


class VlmDistillationSettings(DistillationSettings, SightSettings):
    """A student that sees samples, a teacher that sees scores, the divergence teaches."""

    teacher_model: str = Field(
        default_factory=_from_environment(TEACHER_VARIABLE, "qwen3-vl-30b-a3b-thinking"),
        min_length=1,
        title="Teacher model",
        description="Registry alias, hub id or folder of the teacher; else $OPD_TEACHER_MODEL.",
    )
    student_model: str = Field(
        default_factory=_from_environment(STUDENT_VARIABLE, "qwen3-vl-4b-thinking"),
        min_length=1,
        title="Student model",
        description="Registry alias, hub id or folder of the student; else $OPD_STUDENT_MODEL.",
    )
    prompts: str | None = Field(
        None,
        title="Training prompts",
        description="Training prompts with pictures: JSONL, parquet, or a folder of either; "
        "required to train, not to plan.",
    )
    validation_prompts: str | None = Field(
        None,
        title="Validation prompts",
        description="Held-out prompts with pictures; training without them is refused.",
    )
    instruction: str | None = Field(
        None,
        max_length=2000,
        title="Instruction",
        description="Added to every problem that does not ask for \\boxed{} itself. Thinking "
        "models need none; an Instruct model is asked so to box its answer.",
    )
    max_pictures: int = Field(
        8,
        ge=1,
        le=64,
        title="Pictures per prompt",
        description="Prompts with more pictures are refused, with their line.",
    )
    controls: bool = Field(
        True,
        title="Control pictures",
        description="Also measure accuracy with a blank picture and with another prompt's: a "
        "model that answers as well without its picture does not look.",
    )
    control_prompts: int = Field(
        32,
        ge=1,
        title="Prompts for controls",
        description="At most this many of the held-out prompts are used for controls.",
    )
    temperature: float = Field(
        1.0,
        ge=1.0,
        le=4.0,
        title="Loss temperature",
        description="Softens both distributions in the KL term (1.0 to 4.0).",
    )
    kl_weight: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Weight of the divergence",
        description="Weight of the divergence term.",
    )
    ce_weight: float = Field(
        0.0,
        ge=0,
        le=100,
        title="Weight of the cross-entropy",
        description="Weight of the cross-entropy on the teacher's top token.",
    )
    max_generation_tokens: int = Field(
        2048,
        ge=1,
        le=131_072,
        title="Longest completion",
        description="Longest completion, in tokens.",
    )
    learning_rate: float = Field(
        1e-4, gt=0, le=1, title="Learning rate", description="Peak learning rate of AdamW."
    )
    lora: LoraSettings = Field(
        LoraSettings(rank=32, alpha=64),
        title="LoRA adapter",
        description="The student's adapter, all that learns; the vision tower never does.",
    )

    def _contradictions(self) -> Iterator[Contradiction]:
        yield from super()._contradictions()
        if self.teacher_shards > 1:
            why = "pictures are looked at by a whole teacher"
            yield "teacher_shards", f"{why}, so teacher_shards must be 1"
        if self.is_served:
            yield (
                "teacher_endpoint.url",
                "a served teacher is sent token ids alone and sees no pictures, so url must be "
                "empty",
            )
        if self.teacher_cache_dir is not None:
            why = "pictures are numbered anew by each run"
            yield "teacher_cache_dir", f"{why}, so teacher_cache_dir must be empty"
        if self.teachers:
            yield "teachers", "several teachers are for prompts of words, so it must be empty"
