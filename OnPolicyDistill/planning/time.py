"""How long a run takes: the passes of its steps, evaluations and stages, added up.

A forecast from arithmetic and fitted constants, not a measurement; docs/verification says what was
measured where.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from OnPolicyDistill.planning.calibration import Calibration
from OnPolicyDistill.planning.chips import Chip
from OnPolicyDistill.planning.expert_adapters import expert_adapter_seconds
from OnPolicyDistill.planning.models import ModelFacts
from OnPolicyDistill.planning.passes import (
    backward_passes,
    decode_seconds,
    project_seconds,
    read_seconds,
)
from OnPolicyDistill.planning.sharding import way_to_shard
from OnPolicyDistill.planning.workload import Workload
from OnPolicyDistill.runs.held_out_answers import MOST_SHOWN_TOKENS, NUM_KEPT

DISK_BYTES_PER_SECOND = 3e9
SECONDS_TO_START = 5.0
# The adapter, the optimizer and everything small, as a share of the learning pass.
SMALL_WORK = 0.05
PREFILL_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """Seconds of one step in a run that has warmed up."""

    sampling: float
    scoring: float
    learning: float

    @property
    def total(self) -> float:
        """The whole step."""
        return self.sampling + self.scoring + self.learning


@dataclass(frozen=True, slots=True)
class RunSeconds:
    """Seconds of a whole run; `preparing` is loading and whatever is made once beforehand."""

    step: StepSeconds
    preparing: float
    evaluation: float
    num_evaluations: int
    num_steps: int

    @property
    def total(self) -> float:
        """From start to end."""
        steps = self.num_steps * self.step.total
        return self.preparing + steps + self.num_evaluations * self.evaluation


def forecast_time(work: Workload, chip: Chip) -> RunSeconds:
    """Forecast a run on a chip."""
    loaded = work.student.loaded_bytes + (work.teacher.loaded_bytes if work.teacher else 0)
    preparing = SECONDS_TO_START + loaded / DISK_BYTES_PER_SECOND
    return RunSeconds(
        step=_step(_as_learned(work), chip),
        preparing=preparing + _made_once(work, chip),
        evaluation=_evaluation(replace(work, own_prompts=None), chip),
        num_evaluations=work.settings.num_steps // work.settings.eval_every + 1,
        num_steps=work.settings.num_steps,
    )


def _as_learned(work: Workload) -> Workload:
    """The work with completions as short as they are learned; auto may learn all of them."""
    if work.distillation is None:
        return work
    return replace(work, distillation=work.distillation.limited())


def corrected(times: RunSeconds, by: Calibration) -> RunSeconds:
    """Times as earlier runs of the machine correct them; an evaluation samples and scores."""
    step = StepSeconds(
        sampling=times.step.sampling * by.sampling,
        scoring=times.step.scoring * by.scoring,
        learning=times.step.learning * by.learning,
    )
    before = times.step.sampling + times.step.scoring
    factor = (step.sampling + step.scoring) / before if before else by.learning
    return replace(times, step=step, evaluation=times.evaluation * factor)


def sampling_seconds(facts: ModelFacts, work: Workload, chip: Chip, num_rows: int) -> float:
    """Time to complete `num_rows` prompts, a step's rows decoded at once."""
    if num_rows == 0:
        return 0.0
    rows = min(num_rows, work.rows_per_step)
    prompt_tokens = work.prompts.typical_tokens
    # The completions of a group share one reading of their prompt.
    read = math.ceil(rows / work.rows_per_prompt) * prompt_tokens
    prefill = _read_in_parts(facts, read, prompt_tokens, PREFILL_TOKENS, chip)
    prefill += project_seconds(facts.dimensions, rows, chip)
    context = prompt_tokens + work.completion_tokens / 2
    each = decode_seconds(facts, rows, context, chip)
    return num_rows / rows * (prefill + work.completion_tokens * each)


def forward_seconds(facts: ModelFacts, work: Workload, chip: Chip, num_rows: float) -> float:
    """Time to read `num_rows` whole rows, a micro-batch at once."""
    row_tokens = work.typical_row_tokens
    at_once = work.rows_per_pass * row_tokens
    return _read_in_parts(facts, num_rows * row_tokens, row_tokens, at_once, chip)


def _read_in_parts(
    facts: ModelFacts, tokens: float, row_tokens: int, most: int, chip: Chip
) -> float:
    """Time to read tokens in passes of at most `most`."""
    if tokens == 0:
        return 0.0
    size = min(tokens, most)
    return tokens / size * read_seconds(facts, size, row_tokens, chip)


def _step(work: Workload, chip: Chip) -> StepSeconds:
    rows = work.rows_per_step
    learning = _learning_seconds(work, chip, rows)
    if work.groups is not None:
        return StepSeconds(
            sampling=sampling_seconds(work.student, work, chip, rows),
            scoring=forward_seconds(work.student, work, chip, rows * work.groups.has_reference),
            learning=learning * work.groups.num_updates,
        )
    if work.distillation is None:
        return StepSeconds(0.0, 0.0, learning)
    fresh = 0.0 if work.keeps_rollouts else rows * work.distillation.on_policy_fraction
    scored = fresh + (rows - fresh) * (1 - _cached_share(work))
    uses = work.distillation.rollout_reuse
    return StepSeconds(
        sampling=sampling_seconds(work.student, work, chip, round(fresh)) / uses,
        scoring=_teacher_seconds(work, chip, scored) / uses,
        learning=learning,
    )


def _teacher_seconds(work: Workload, chip: Chip, rows: float) -> float:
    """Seconds that the teacher reads; 0 where it is served elsewhere, how fast is not known.

    Every rank reads the rows of all with its shard of one: of matrices in shards that is its own
    rows' work, while layers in shards wait for each other.
    """
    if work.teacher is None or work.distillation is None:
        return 0.0
    shards = work.distillation.teacher_shards
    if work.own_prompts is None:  # rows of the first rank alone, such as an evaluation's
        rows /= shards
    waits = way_to_shard(work.teacher.dimensions.model_type) == "pipeline"
    return forward_seconds(work.teacher, work, chip, rows * (shards if waits else 1))


def _learning_seconds(work: Workload, chip: Chip, rows: int) -> float:
    recomputes, learns_all = work.settings.grad_checkpoint, work.lora is None
    passes = 1 + backward_passes(chip, work.learned_share, recomputes, learns_all)
    forward = forward_seconds(work.student, work, chip, rows)
    positions = rows * work.learned_positions
    # Student logits and their gradient, and the teacher's logits from its hidden states.
    projecting = 2 * project_seconds(work.student.dimensions, positions, chip)
    if work.teacher is not None:
        projecting += project_seconds(work.teacher.dimensions, positions, chip)
    experts = expert_adapter_seconds(work, chip, rows)
    return (forward * passes + projecting) * (1 + SMALL_WORK) + experts


def _evaluation(work: Workload, chip: Chip) -> float:
    rows = work.num_held_out
    if work.groups is not None:
        return sampling_seconds(work.student, work, chip, rows)
    reading = forward_seconds(work.student, work, chip, rows)
    if work.distillation is None:
        return reading + _shown_seconds(work, chip)
    if not work.distillation.keep_teacher_loaded:
        return reading
    scoring = _teacher_seconds(work, chip, rows)
    return sampling_seconds(work.student, work, chip, rows) + scoring + reading


def _shown_seconds(work: Workload, chip: Chip) -> float:
    """Time to answer the few held-out rows that people see; beside it reading them is nothing."""
    rows = min(NUM_KEPT, work.num_held_out)
    tokens = min(work.prompts.typical_tokens, MOST_SHOWN_TOKENS)
    return tokens * decode_seconds(work.student, rows, tokens, chip) if rows else 0.0


def _made_once(work: Workload, chip: Chip) -> float:
    """Completions and scores that are made before the first step or when first needed.

    Ranks make their shares of them.
    """
    if work.teacher is None or work.distillation is None or work.num_kept_rows == 0:
        return 0.0
    share = work.distillation.on_policy_fraction
    seen = math.ceil(work.num_kept_rows * work.prompts_per_step / work.settings.rows_per_step)
    if not work.keeps_rollouts:
        share = 0.0
    by_student, by_teacher = round(seen * share), round(seen * (1 - share))
    seconds = sampling_seconds(work.student, work, chip, by_student)
    seconds += sampling_seconds(work.teacher, work, chip, by_teacher)
    seconds += forward_seconds(work.teacher, work, chip, seen)
    if not work.distillation.keep_teacher_loaded:
        seconds += sampling_seconds(work.teacher, work, chip, work.num_held_out)
    return seconds


def _cached_share(work: Workload) -> float:
    """Share of kept rows that the cache still knows; one that is too small forgets in turn."""
    needed = work.cache_bytes_needed
    return 1.0 if needed <= work.cache_bytes else 0.0
