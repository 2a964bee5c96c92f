"""Settings of prompt distillation: a student learns to act as if it had seen a long prompt."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, model_validator

from OnPolicyDistill.divergences import Divergence
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.prefix import ALL, LossTokens
from OnPolicyDistill.settings.problems import Contradiction, refuse
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.settings.training import LoraSettings, OptimizerSettings

Training = Literal["sft", "on_policy"]
Acceptance = Literal["first", "majority", "unanimous"]
Target = Literal["answer", "reply", "thinking"]


class PromptDistillationSettings(SightSettings, OptimizerSettings):
    """The teacher reads a prompt and answers; the student learns its answers without the prompt."""

    teacher_model: str = Field(
        "qwen3-30b-a3b-thinking-2507",
        min_length=1,
        title="Teacher model",
        description="Registry alias, hub id or folder of the model that sees the prompt. The "
        "student's own name means self-distillation: one model, whose adapter is off to teach.",
    )
    student_model: str = Field(
        "qwen3-30b-a3b-instruct-2507",
        min_length=1,
        title="Student model",
        description="Registry alias, hub id or folder of the model that learns without it.",
    )
    student_adapter: str | None = Field(
        None,
        title="Adapter to go on from",
        description="Folder of a LoRA adapter to continue from, for example of an SFT run.",
    )
    teacher_prompt: str | None = Field(
        None,
        title="Teacher's prompt",
        description="Text file with the long system prompt; required to train.",
    )
    inputs: str | None = Field(
        None,
        title="Training inputs",
        description="What the teacher answers: one text a line, JSONL or CSV, with or without "
        "gold labels; required to train.",
    )
    validation_inputs: str | None = Field(
        None,
        title="Validation inputs",
        description="Held-out inputs of the same forms; training without them is refused.",
    )
    labels: tuple[str, ...] | None = Field(
        None,
        title="Labels",
        description="The answers that count; empty takes any text behind the thinking.",
    )
    answer_prefix: str = Field(
        "Final Answer:",
        title="Text before the label",
        description="What stands before the label in a reply; without it the whole reply counts.",
    )
    generated_from: str | None = Field(
        None,
        title="Answers of an earlier run",
        description="Run whose generated answers are used again, by id or folder.",
    )
    teacher_temperature: float = Field(
        0.15,
        ge=0,
        le=4,
        title="Teacher's sampling temperature",
        description="Temperature of the teacher's answers; 0 takes the likeliest.",
    )
    num_samples: int = Field(
        1,
        ge=1,
        le=64,
        title="Answers per input",
        description="Answers of the teacher to each input.",
    )
    acceptance: Acceptance = Field(
        "majority",
        title="Which answer counts",
        description="With several samples: the first that can be read, the label of more than "
        "half of them, or only a label that all agree on.",
    )
    max_retries: int = Field(
        3,
        ge=0,
        le=100,
        title="Further tries",
        description="More tries for an answer without a readable label.",
    )
    max_thinking_tokens: int = Field(
        2048,
        ge=1,
        le=131_072,
        title="Longest thinking",
        description="Longest answer of the teacher, thinking included.",
    )
    max_answer_tokens: int = Field(
        32, ge=1, le=131_072, title="Longest answer", description="Longest answer of the student."
    )
    target: Target = Field(
        "answer",
        title="What the student learns",
        description="What the student learns to say: the bare label, the reply behind the "
        "thinking, or thinking and reply.",
    )
    training: Training = Field(
        "sft",
        title="Form of training",
        description="sft learns the teacher's answers; on_policy lets the student answer and the "
        "teacher, which sees the prompt, score the same tokens.",
    )
    divergence: Divergence = Field(
        "reverse_kl",
        title="Divergence",
        description="Divergence of the on_policy training, at `temperature`.",
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
    teacher_weight: float = Field(
        0.5,
        gt=0,
        lt=1,
        title="Teacher's share in the mixture",
        description="Teacher's share of the mixture in the generalized JSD.",
    )
    teacher_cache_size_mb: int = Field(
        4096,
        ge=0,
        le=1_000_000,
        title="Teacher cache",
        description="Memory for the teacher cache, in MB; 0 turns it off.",
    )
    max_length: int = Field(
        2048,
        ge=2,
        le=131_072,
        title="Longest conversation",
        description="Longer conversations are left out and counted.",
    )
    max_inputs: int | None = Field(
        None,
        ge=1,
        title="Most inputs",
        description="At most this many inputs are answered and learned, drawn evenly over the file "
        "by the seed; empty: all.",
    )
    eval_inputs: int | None = Field(
        None,
        ge=1,
        title="Inputs per evaluation",
        description="At most this many held-out inputs, drawn evenly over the file by the seed; "
        "empty: all.",
    )
    lora: LoraSettings = Field(
        default_factory=lambda: LoraSettings(rank=32, alpha=16.0),
        title="LoRA adapter",
        description="The student's adapter, all that learns.",
    )
    loss_tokens: LossTokens = ALL
    rollout_reuse: int = Field(
        1,
        ge=1,
        le=64,
        title="Steps per batch of completions",
        description="Optimizer steps of the on_policy training that learn from the same rollouts; "
        "beyond the first they are weighted by what the student has become since.",
    )

    @property
    def steps_per_rows(self) -> int:
        """Optimizer steps that learn from the same rows."""
        return self.rollout_reuse

    @property
    def is_self_distillation(self) -> bool:
        """Whether student and teacher share their weights."""
        return self.teacher_model == self.student_model

    def as_distillation(self) -> DistillationSettings:
        """The on_policy training in the terms of distillation: the student's completions only.

        Every setting that both have is carried over; a completion is the student's answer.

        Raises:
            ValidationError: the settings contradict each other; none that were read do.
        """
        shared = {key: value for key, value in self if key in DistillationSettings.model_fields}
        return DistillationSettings.model_validate(
            {**shared, "max_generation_tokens": self.max_answer_tokens}
        )

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> PromptDistillationSettings:
        refuse(self, self._contradictions())
        if self.training == "on_policy":
            self.as_distillation()
        return self

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.training == "on_policy" and self.target == "thinking":
            yield (
                "target",
                "on_policy training takes the student's own completions: target must be `answer` "
                "or `reply`",
            )
        if self.training == "sft":
            why = (
                "means something for the student's own completions only: set training to on_policy"
            )
            if self.loss_tokens != ALL:
                yield "loss_tokens", f"loss_tokens {why}, or leave it at {ALL}"
            if self.rollout_reuse != 1:
                yield "rollout_reuse", f"rollout_reuse {why}, or leave it at 1"
        if self.labels is not None and not self.labels:
            yield "labels", "names no label; leave it empty to take any text behind the thinking"
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            yield "labels", "labels names the same label twice"
