"""Settings of on-policy distillation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from OnPolicyDistill.divergences import FACTS, IN_WORDS, Divergence
from OnPolicyDistill.settings.endpoint import TeacherEndpoint, beyond_endpoint
from OnPolicyDistill.settings.prefix import ALL, AUTO, LossTokens, learned_tokens
from OnPolicyDistill.settings.problems import Contradiction, refuse
from OnPolicyDistill.settings.shards import beyond_shards
from OnPolicyDistill.settings.teachers import (
    MOST_TEACHERS,
    NamedTeacher,
    Precision,
    TeacherOrder,
    beyond_disk,
    beyond_teachers,
)
from OnPolicyDistill.settings.training import LoraSettings, OptimizerSettings


class DistillationSettings(OptimizerSettings):
    """A student samples, a teacher scores, the divergence between them teaches."""

    teacher_model: str = Field(
        "qwen2.5-32b",
        min_length=1,
        title="Teacher model",
        description="Registry alias, hub id or folder of the teacher.",
    )
    student_model: str = Field(
        "qwen2.5-7b",
        min_length=1,
        title="Student model",
        description="Registry alias, hub id or folder of the student.",
    )
    student_adapter: str | None = Field(
        None,
        title="Adapter to go on from",
        description="Folder of a LoRA adapter to continue from, for example of an SFT run.",
    )
    teacher_adapter: str | None = Field(
        None,
        title="Teacher's adapter",
        description="Folder of a LoRA adapter that the teacher wears, for example of a GRPO run.",
    )
    prompts: str | None = Field(
        None,
        title="Training prompts",
        description="JSONL file of training prompts; required to train, not to plan.",
    )
    validation_source: Literal["separate_file"] = Field(
        "separate_file",
        title="Validation comes from",
        description="Held-out prompts come from a file of their own; nothing is split off.",
    )
    validation_prompts: str | None = Field(
        None,
        title="Validation prompts",
        description="JSONL file of held-out prompts; training without one is refused.",
    )
    eval_fraction: float = Field(
        1.0,
        gt=0,
        le=1,
        title="Share kept for validation",
        description="Share of the validation file that evaluations use, drawn once by the seed, "
        "evenly over the file.",
    )
    eval_prompts: int | None = Field(
        64,
        ge=1,
        title="Prompts per evaluation",
        description="At most this many validation prompts, drawn once by the seed, evenly over the "
        "file; empty means all.",
    )
    temperature: float = Field(
        2.0,
        ge=1.0,
        le=4.0,
        title="Loss temperature",
        description="Softens both distributions in the KL term (1.0 to 4.0).",
    )
    kl_weight: float = Field(
        0.8,
        ge=0,
        le=100,
        title="Weight of the divergence",
        description="Weight of the divergence term.",
    )
    ce_weight: float = Field(
        0.2,
        ge=0,
        le=100,
        title="Weight of the cross-entropy",
        description="Weight of the cross-entropy on the teacher's top token.",
    )
    divergence: Divergence = Field("reverse_kl", title="Divergence", description=IN_WORDS)
    teacher_weight: float = Field(
        0.5,
        gt=0,
        lt=1,
        title="Teacher's share in the mixture",
        description="Teacher's share of the mixture in the generalized JSD.",
    )
    on_policy_fraction: float = Field(
        1.0,
        ge=0,
        le=1,
        title="Share of own completions",
        description="Share of completions the student samples; the rest are the teacher's own.",
    )
    fixed_rollouts: bool = Field(
        False,
        title="Fixed completions",
        description="Sample one completion a prompt once and train on them again each epoch: the "
        "teacher's scores then come from the cache.",
    )
    max_generation_tokens: int = Field(
        512,
        ge=1,
        le=131_072,
        title="Longest completion",
        description="Longest completion, in tokens.",
    )
    max_prompt_tokens: int = Field(
        2048,
        ge=1,
        le=131_072,
        title="Longest prompt",
        description="Longer prompts are left out and counted, never cut.",
    )
    generation_temperature: float = Field(
        1.0,
        ge=0,
        le=4,
        title="Sampling temperature",
        description="Temperature of rollouts; 1 samples the policy itself.",
    )
    top_p: float = Field(
        1.0,
        gt=0,
        le=1,
        title="Top-p",
        description="Nucleus truncation of rollouts; 1 leaves nothing out.",
    )
    logprob_method: Literal["manual_loop"] = Field(
        "manual_loop",
        title="What the teacher hands over",
        description="Rollouts come from our own batched generation loop.",
    )
    teacher_targets: Literal["hidden_states", "top_k"] = Field(
        "hidden_states",
        title="Teacher's targets",
        description="What the teacher hands over: final hidden states (exact over the whole "
        "vocabulary) or its k best logprobs and the mass of the rest (compact).",
    )
    top_k: int = Field(
        64, ge=1, le=4096, title="Top-k logprobs kept", description="k of the top_k targets."
    )
    teacher_cache_size_mb: int = Field(
        4096,
        ge=0,
        le=1_000_000,
        title="Teacher cache",
        description="Memory for the teacher cache, in MB; 0 turns it off.",
    )
    keep_teacher_loaded: bool = Field(
        True,
        title="Keep the teacher in memory",
        description="Off: sample once, score everything into the cache, unload the teacher, train. "
        "Fits Macs where both models do not fit together.",
    )
    lora: LoraSettings = Field(
        default_factory=LoraSettings,
        title="LoRA adapter",
        description="The student's adapter, all that learns.",
    )
    teacher_endpoint: TeacherEndpoint = Field(
        TeacherEndpoint(),
        title="Teacher on a server",
        description="A teacher that lives elsewhere, in teacher_model's stead.",
    )
    teacher_cache_dir: str | None = Field(
        None,
        title="Teacher's folder on disk",
        description="Folder that keeps what the teacher handed over, for other runs, days and "
        "Macs: a row that is there is not asked again, and a teacher whose rows all are is not "
        "loaded. Fill it ahead with `opd teacher score`.",
    )
    teacher_cache_dir_mb: int = Field(
        20_000,
        ge=1,
        le=100_000_000,
        title="Room in that folder",
        description="Room in that folder, in MB; what was not used for longest goes first.",
    )
    teacher_cache_precision: Precision = Field(
        "exact",
        title="Precision on disk",
        description="How that folder keeps hidden states: as the teacher made them, in bfloat16, "
        "or in int8 (half of that); what it costs is measured and written beside them.",
    )
    teachers: tuple[NamedTeacher, ...] = Field(
        (),
        max_length=MOST_TEACHERS,
        title="Several teachers",
        description="Several teachers, each for the prompts whose `teacher` key names it, in "
        "teacher_model's stead; one is in memory at a time.",
    )
    teacher_order: TeacherOrder = Field(
        "by_teacher",
        title="Order of teachers",
        description="With several teachers: each one's prompts of an epoch in a row, which loads "
        "least, or mixed, which loads every teacher in every step.",
    )
    teacher_shards: int = Field(
        1,
        ge=1,
        le=64,
        title="Shards of the teacher",
        description="Over how many ranks the teacher's weights are cut, which is all of them: for "
        "a teacher too large for one Mac. 1 keeps it whole on each.",
    )
    loss_tokens: LossTokens = ALL
    rollout_reuse: int = Field(
        1,
        ge=1,
        le=64,
        title="Steps per batch of completions",
        description="Optimizer steps that learn from the same rollouts; beyond the first they are "
        "weighted by what the student has become since it sampled them.",
    )

    @property
    def steps_per_rows(self) -> int:
        """Optimizer steps that learn from the same rows."""
        return self.rollout_reuse

    def limited(self, chosen: int | None = None) -> Self:
        """These settings with completions as long as they are learned; `chosen` is auto's."""
        tokens = learned_tokens(self.loss_tokens, self.max_generation_tokens, chosen)
        return self.model_copy(update={"max_generation_tokens": tokens})

    @property
    def is_served(self) -> bool:
        """Whether the teacher lives elsewhere."""
        return self.teacher_endpoint.url is not None

    @property
    def endpoints(self) -> dict[str, TeacherEndpoint]:
        """Where teachers are served, by the settings that say so."""
        if self.is_served:
            return {"teacher_endpoint": self.teacher_endpoint}
        listed = enumerate(self.teachers)
        return {f"teachers.{n}.endpoint": t.endpoint for n, t in listed if t.endpoint is not None}

    @property
    def teacher_models(self) -> dict[str, str]:
        """Models that are loaded here to score, by the settings that name them."""
        if self.teachers:
            listed = enumerate(self.teachers)
            return {f"teachers.{n}.model": t.model for n, t in listed if t.model is not None}
        return {} if self.is_served else {"teacher_model": self.teacher_model}

    @property
    def num_copies(self) -> int:
        """How many copies of the student's adapter score."""
        return sum(teacher.student_copy is not None for teacher in self.teachers)

    @property
    def teacher_name(self) -> str:
        """What the teacher is called, wherever it lives; of several, all of them."""
        if self.teachers:
            return ", ".join(teacher.name for teacher in self.teachers)
        served = self.teacher_endpoint.model if self.is_served else None
        return served or self.teacher_model

    @property
    def keeps_teachers(self) -> bool:
        """Whether teachers come when they are asked: from disk, or taking turns."""
        return bool(self.teachers) or self.teacher_cache_dir is not None

    @property
    def samples_policy(self) -> bool:
        """Whether rollouts are drawn from the student's own, untruncated distribution."""
        return self.generation_temperature == 1 and self.top_p == 1

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> DistillationSettings:
        refuse(self, self._contradictions())
        return self

    def _beyond_teacher(self) -> Iterator[Contradiction]:
        """What is asked of a teacher that is elsewhere, one of several, on disk or cut."""
        if self.is_served:
            yield from beyond_endpoint(self)
        if self.teachers:
            yield from beyond_teachers(self)
        if self.teacher_cache_dir is not None:
            yield from beyond_disk(self)
        if self.teacher_shards > 1:
            yield from beyond_shards(self)

    def _contradictions(self) -> Iterator[Contradiction]:
        if self.kl_weight == 0 and self.ce_weight == 0:
            yield "kl_weight", "kl_weight and ce_weight are both 0, so nothing would be learned"
        yield from self._beyond_teacher()
        if FACTS[self.divergence].is_sampled:
            yield from self._biased_sampling()
        if self.keep_teacher_loaded is False and self.teacher_cache_size_mb == 0:
            yield (
                "teacher_cache_size_mb",
                "keep_teacher_loaded is off, so the cache must leave room for scores",
            )
        if self.loss_tokens == AUTO and not self.keep_teacher_loaded:
            yield (
                "loss_tokens",
                "auto needs a teacher that stays: with keep_teacher_loaded off everything is "
                "scored before it is known how far learning pays, so name a number or a share",
            )
        if self.rollout_reuse > 1:
            yield from self._unweighable()
        # The student never meets the teacher's completions before the teacher is gone, or they
        # are scored for students that are not there yet.
        leaves = not self.keep_teacher_loaded or self.teacher_cache_dir is not None
        is_blind = leaves and self.on_policy_fraction < 1
        is_hurt = FACTS[self.divergence].weighs_students_tokens
        if self.teacher_targets == "top_k" and is_blind and is_hurt:
            yield (
                "teacher_targets",
                "top_k targets on the teacher's own completions lack the tokens that the student "
                f"likes, without which {self.divergence} has a wrong gradient: set teacher_targets "
                "to hidden_states or on_policy_fraction to 1, or keep the teacher loaded and no "
                "teacher_cache_dir",
            )

    def _unweighable(self) -> Iterator[Contradiction]:
        """What importance weights cannot repair, or what is used again anyway."""
        why = "rollout_reuse weighs tokens by the probability with which the student sampled them"
        own = {"generation_temperature": self.generation_temperature, "top_p": self.top_p}
        yield from ((key, f"{why}, so {key} must be 1") for key, value in own.items() if value != 1)
        why = "rollout_reuse needs fresh student samples"
        if self.on_policy_fraction != 1:
            yield "on_policy_fraction", f"{why}, so on_policy_fraction must be 1"
        if self.fixed_rollouts:
            yield "fixed_rollouts", f"{why}, so fixed_rollouts must be false"
        if not self.keep_teacher_loaded:
            yield "keep_teacher_loaded", f"{why}, so keep_teacher_loaded must be true"
        if any(teacher.student_copy is not None for teacher in self.teachers):
            why = "a copy of the student may be refreshed between two uses"
            yield "rollout_reuse", f"{why}, so rollout_reuse must be 1"

    def _biased_sampling(self) -> Iterator[Contradiction]:
        own = {
            "temperature": self.temperature,
            "generation_temperature": self.generation_temperature,
            "top_p": self.top_p,
        }
        why = f"{self.divergence} is unbiased only for the student's own distribution"
        yield from ((key, f"{why}, so {key} must be 1") for key, value in own.items() if value != 1)
        why = f"{self.divergence} needs fresh student samples"
        if self.on_policy_fraction != 1:
            yield "on_policy_fraction", f"{why}, so on_policy_fraction must be 1"
        if self.fixed_rollouts:
            yield "fixed_rollouts", f"{why}, so fixed_rollouts must be false"
        if not self.keep_teacher_loaded:
            yield "keep_teacher_loaded", f"{why}, so keep_teacher_loaded must be true"
