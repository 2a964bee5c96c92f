"""What a run has to do, in numbers: rows, tokens and repetitions, read off its settings.

Forecasts assume that every completion runs to its limit: memory must hold for that, and a student
that stops earlier only finishes sooner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

from OnPolicyDistill.config import (
    EvaluationConfig,
    GrpoConfig,
    OnPolicyConfig,
    ProjectorConfig,
    PromptDistillationConfig,
    RunConfig,
    SftConfig,
    VlmDistillationConfig,
)
from OnPolicyDistill.errors import ConfigError, ModelError
from OnPolicyDistill.planning.grafts import grafted_facts, num_projector_weights
from OnPolicyDistill.planning.models import ModelFacts, describe_model
from OnPolicyDistill.planning.saved_adapters import read_adapter_config
from OnPolicyDistill.planning.scored import is_scored
from OnPolicyDistill.planning.sharding import one_shard
from OnPolicyDistill.planning.targets import (
    PlannedAdapter,
    TargetChoice,
    choose_targets,
    describe_targets,
)
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.training import LoraSettings, OptimizerSettings
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings

# Positions are cut into few row lengths, so that programs can be reused (rollout.bucket_length).
SMALLEST_ROW = 32
BUCKETS_PER_DOUBLING = 4
ASSUMED_PROMPTS = 1000
TOP_K_ENTRY_BYTES = 6
TOP_K_FIXED_BYTES = 16
# Stands where nothing learns: without an adapter a workload would count every weight as learning.
NO_ADAPTER = LoraSettings(rank=1, layers=1)


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """How many prompts there are and how long, in tokens with the chat template."""

    num_prompts: int
    typical_tokens: int
    longest_tokens: int
    source: str


@dataclass(frozen=True, slots=True)
class PictureWork:
    """One picture a prompt, as large as it may be, and each model's memory for what it saw."""

    max_pixels: int
    cache_bytes: int


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What a run does that learns from groups of completions: how many of a prompt, how long.

    A step learns from them `num_updates` times; `has_reference` says that they are scored first.
    """

    num_completions: int
    max_tokens: int
    num_updates: int
    has_reference: bool


@dataclass(frozen=True, slots=True)
class Workload:
    """One run in numbers.

    Where there is no teacher here, `groups` or `distillation` says that something is sampled: in
    the second case the teacher is served elsewhere.
    """

    settings: OptimizerSettings
    student: ModelFacts
    teacher: ModelFacts | None
    distillation: DistillationSettings | None
    lora: LoraSettings | None
    prompts: PromptFacts
    num_held_out: int
    groups: GroupFacts | None = None
    pictures: PictureWork | None = None
    num_before_layers: int = 0  # weights that learn before the first layer, where no others do
    is_scored: bool = False  # what the teacher says is on disk
    own_prompts: int | None = None  # what one of several ranks takes of a step; None: all of it

    @property
    def prompts_per_step(self) -> int:
        """Prompts of a step that this process takes."""
        return self.settings.rows_per_step if self.own_prompts is None else self.own_prompts

    @property
    def rows_per_prompt(self) -> int:
        """Completions that a step learns from for each prompt."""
        return 1 if self.groups is None else self.groups.num_completions

    @property
    def rows_per_step(self) -> int:
        """Rows of one step, over all its micro-batches."""
        return self.prompts_per_step * self.rows_per_prompt

    @property
    def rows_per_pass(self) -> int:
        """Rows of a micro-batch; a rank without prompts of its own still proves on one."""
        prompts = max(min(self.settings.batch_size, self.prompts_per_step), 1)
        return prompts * self.rows_per_prompt

    @property
    def completion_tokens(self) -> int:
        """Longest completion."""
        if self.groups is not None:
            return self.groups.max_tokens
        return 0 if self.distillation is None else self.distillation.max_generation_tokens

    @property
    def row_tokens(self) -> int:
        """Padded length of the longest row of prompt and completion."""
        return bucket_length(self.prompts.longest_tokens + self.completion_tokens)

    @property
    def typical_row_tokens(self) -> int:
        """Padded length of a typical row."""
        return bucket_length(self.prompts.typical_tokens + self.completion_tokens)

    @property
    def learned_positions(self) -> int:
        """Positions of a row whose logits the loss needs."""
        return self.completion_tokens or self.prompts.typical_tokens

    @property
    def num_adapter_parameters(self) -> int:
        """What learns: the adapter, or every weight."""
        if self.num_before_layers:
            return self.num_before_layers
        targets = self.adapter_targets
        if self.lora is None or targets is None:
            return self.student.num_parameters
        return targets.num_parameters(self.lora.rank)

    @property
    def adapter_targets(self) -> TargetChoice | None:
        """What the adapter goes on; None where every weight learns."""
        if self.lora is None:
            return None
        return choose_targets(self.student.layers, self.lora, self.student.lora_targets)

    @property
    def planned_adapter(self) -> PlannedAdapter | None:
        """The adapter in numbers and words; None where every weight learns, or nothing does."""
        targets = self.adapter_targets
        if self.lora is None or targets is None or self.lora is NO_ADAPTER:
            return None
        return describe_targets(self.student.layers, targets, self.lora, self.student.lora_targets)

    @property
    def learned_share(self) -> float:
        """Share of the layers that gradients go through: from the first that learns to the last."""
        layers = self.student.dimensions.num_layers
        if self.lora is None or self.lora.layers <= 0 or self.num_before_layers:
            return 1.0
        return min(self.lora.layers, layers) / layers

    @property
    def keeps_rollouts(self) -> bool:
        """Whether completions are made once and used again every epoch."""
        d = self.distillation
        return d is not None and (d.fixed_rollouts or not d.keep_teacher_loaded)

    @property
    def num_kept_rows(self) -> int:
        """Completions that are scored into the cache: fixed ones, or the teacher's own."""
        if self.distillation is None or self.teacher is None:
            return 0
        seen = min(self.prompts.num_prompts, self.settings.num_steps * self.settings.rows_per_step)
        held_out = 0 if self.distillation.keep_teacher_loaded else self.num_held_out
        if self.keeps_rollouts:
            return seen + held_out
        return math.ceil(seen * (1 - self.distillation.on_policy_fraction))

    @property
    def cache_bytes_needed(self) -> int:
        """What the teacher cache would hold if it were large enough."""
        return self.num_kept_rows * self.completion_tokens * self.kept_bytes

    @property
    def cache_bytes(self) -> int:
        """What the teacher cache will hold at most."""
        if self.distillation is None:
            return 0
        capacity = self.distillation.teacher_cache_size_mb * 1_000_000
        return min(capacity, self.cache_bytes_needed)

    @property
    def target_bytes(self) -> int:
        """Bytes of what the teacher hands over for one position."""
        if self.distillation is None or self.teacher is None:
            return 0
        if self.distillation.teacher_targets == "top_k":
            return self.distillation.top_k * TOP_K_ENTRY_BYTES + TOP_K_FIXED_BYTES
        return 2 * self.teacher.dimensions.hidden_size

    @property
    def kept_bytes(self) -> int:
        """Bytes the cache keeps of one position: hidden states as long as a teacher is loaded."""
        if self.distillation is None or self.teacher is None:
            return 0
        if self.distillation.keep_teacher_loaded:
            return 2 * self.teacher.dimensions.hidden_size
        return self.target_bytes


def make_workload(config: RunConfig, prompts: PromptFacts, num_held_out: int) -> Workload:
    """Gather a run's numbers.

    Raises:
        ModelError: a model is unknown or damaged.
    """
    match config:
        case OnPolicyConfig():
            distilled = config.distillation.settled(prompts.num_prompts)
            return _scored(config, _distilled(distilled, prompts, num_held_out))
        case VlmDistillationConfig():
            seeing = config.vlm_distillation.settled(prompts.num_prompts)
            return _seeing(_distilled(seeing, prompts, num_held_out), seeing)
        case ProjectorConfig():
            return _grafted(config.projector, prompts, num_held_out)
        case SftConfig():
            sft = config.sft.settled(prompts.num_prompts)
            model = describe_model(sft.model, sft.mixed_precision)
            lora = None if sft.lora is None else continued_lora(sft.lora, sft.student_adapter)
            return Workload(sft, model, None, None, lora, prompts, num_held_out)
        case PromptDistillationConfig():
            return _prompted(config.prompt_distillation, prompts, num_held_out)
        case GrpoConfig():
            return _rewarded(config.grpo.settled(prompts.num_prompts), prompts, num_held_out)
        case EvaluationConfig():
            return _of_evaluation(config.evaluation, prompts)
        case _:
            assert_never(config)


def _distilled(settings: DistillationSettings, prompts: PromptFacts, num_held_out: int) -> Workload:
    student = describe_model(settings.student_model, settings.mixed_precision)
    lora = continued_lora(settings.lora, settings.student_adapter)
    if not settings.teacher_models:
        # What it costs is its server's; how long an answer takes cannot be known here.
        return Workload(settings, student, None, settings, lora, prompts, num_held_out)
    # Of several one is in memory at a time, so that the largest decides.
    names = settings.teacher_models.values()
    found = [describe_model(name, settings.mixed_precision) for name in names]
    teacher = max(found, key=lambda facts: facts.loaded_bytes)
    worn = adapter_bytes(settings.teacher_adapter)
    teacher = replace(teacher, loaded_bytes=teacher.loaded_bytes + worn)
    if settings.teacher_shards > 1:
        teacher = one_shard(teacher, settings.teacher_shards)
    return Workload(settings, student, teacher, settings, lora, prompts, num_held_out)


def _scored(config: RunConfig, work: Workload) -> Workload:
    """The work without its teacher's weights where all it says was scored ahead."""
    if work.teacher is None or not is_scored(config):
        return work
    return replace(work, teacher=replace(work.teacher, loaded_bytes=0), is_scored=True)


def adapter_bytes(folder: str | None) -> int:
    """Bytes of an adapter that is worn and does not learn.

    One that cannot be read counts nothing; the check says that it cannot.
    """
    file = None if folder is None else Path(folder) / "adapters.safetensors"
    return file.stat().st_size if file is not None and file.is_file() else 0


def blind_model(name: str) -> ModelError:
    """The error of a model that reads words alone, where pictures are to be read."""
    return ModelError(
        f"{name} is a text model: it sees no pictures.",
        "Name a vision-language model, such as qwen3-vl-4b-thinking.",
    )


def _seeing(work: Workload, settings: VlmDistillationSettings) -> Workload:
    """The work with its pictures.

    Raises:
        ModelError: a model does not see.
    """
    for facts in (work.student, work.teacher):
        if facts is not None and facts.dimensions.vision is None:
            raise blind_model(facts.name)
    kept = settings.picture_cache_mb * 1_000_000
    return replace(work, pictures=PictureWork(settings.max_pixels, kept))


def _rewarded(settings: GrpoSettings, prompts: PromptFacts, num_held_out: int) -> Workload:
    student = describe_model(settings.model, settings.mixed_precision)
    lora = continued_lora(settings.lora, settings.student_adapter)
    groups = GroupFacts(
        num_completions=settings.num_completions,
        max_tokens=settings.max_generation_tokens,
        num_updates=settings.num_iterations,
        has_reference=settings.beta > 0,
    )
    return Workload(settings, student, None, None, lora, prompts, num_held_out, groups)


def _grafted(settings: ProjectorSettings, prompts: PromptFacts, num_held_out: int) -> Workload:
    """Only the projector learns, and its gradient passes through every layer."""
    return Workload(
        settings=settings.settled(prompts.num_prompts),
        student=grafted_facts(settings),
        teacher=None,
        distillation=None,
        lora=NO_ADAPTER,
        prompts=prompts,
        num_held_out=num_held_out,
        pictures=PictureWork(settings.pixel_limits[1], settings.picture_cache_mb * 1_000_000),
        num_before_layers=num_projector_weights(settings),
    )


def continued_lora(lora: LoraSettings, adapter: str | None) -> LoraSettings:
    """What a run trains that goes on from an adapter: rank and layers of that one, else `lora`.

    An adapter that cannot be read leaves `lora`; the check says that it cannot.
    """
    if adapter is None:
        return lora
    try:
        config = read_adapter_config(Path(adapter))
        found = config.lora_parameters
        return LoraSettings(
            rank=found.rank,
            alpha=found.scale * found.rank,
            layers=max(config.num_layers, -1) or -1,
            targets=found.keys,
            experts=True,
        )
    except (ModelError, ValueError):
        return lora


def _prompted(
    settings: PromptDistillationSettings, prompts: PromptFacts, num_held_out: int
) -> Workload:
    """The training stage: as supervised fine-tuning, or with a teacher that scores."""
    student = describe_model(settings.student_model, settings.mixed_precision)
    settled = settings.settled(prompts.num_prompts)
    lora = continued_lora(settings.lora, settings.student_adapter)
    if settings.training == "sft":
        return Workload(settled, student, None, None, lora, prompts, num_held_out)
    teacher = describe_model(settings.teacher_model, settings.mixed_precision)
    if settings.is_self_distillation:
        # The same weights, which are counted once.
        teacher = replace(teacher, loaded_bytes=0)
    scoring = settings.as_distillation().settled(prompts.num_prompts)
    return Workload(settled, student, teacher, scoring, lora, prompts, num_held_out)


def _of_evaluation(settings: EvaluationSettings, prompts: PromptFacts) -> Workload:
    """The largest of the models, of which one at a time is loaded; nothing learns.

    Raises:
        ConfigError: there are no variants.
    """
    if not settings.variants:
        raise ConfigError(
            "The evaluation names no variants.",
            "Name a model, perhaps with an adapter or a prompt, under evaluation.variants.",
            (("evaluation.variants", "at least one is required"),),
        )
    models = [describe_model(v.model, settings.mixed_precision) for v in settings.variants]
    largest = max(models, key=lambda facts: facts.loaded_bytes)
    batch = OptimizerSettings(
        num_steps=len(models), batch_size=settings.batch_size, gradient_accumulation_steps=1
    )
    return Workload(batch, largest, None, None, NO_ADAPTER, prompts, 0)


def bucket_length(length: int) -> int:
    """The padded row length that the trainer uses for rows of this length."""
    if length <= SMALLEST_ROW:
        return SMALLEST_ROW
    power = 1 << (length - 1).bit_length()
    stride = max(power // 2 // BUCKETS_PER_DOUBLING, 8)
    return -(-length // stride) * stride
