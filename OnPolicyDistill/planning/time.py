"""How long a run takes: bytes over bandwidth for decoding, operations over throughput otherwise.

A forecast from arithmetic and a few efficiencies, not a measurement; docs/verification says what
was measured where.
"""

from __future__ import annotations

from dataclasses import dataclass

from OnPolicyDistill.planning.chips import Chip
from OnPolicyDistill.planning.dimensions import body_weights, head_weights
from OnPolicyDistill.planning.models import ModelFacts
from OnPolicyDistill.planning.workload import Workload

DISK_BYTES_PER_SECOND = 3e9
SECONDS_TO_START = 5.0
# Passes over the body, in units of one forward pass. Frozen weights need no gradient of their own.
BACKWARD_PASSES = 1.0
# The adapter, the optimizer and everything small, as a share of the learning pass.
SMALL_WORK = 0.05
# Tokens scattered over many experts make small products: about half the throughput of large ones.
EXPERT_EFFICIENCY = 0.5


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
        step=_step(work, chip),
        preparing=preparing + _made_once(work, chip),
        evaluation=_evaluation(work, chip),
        num_evaluations=work.settings.num_steps // work.settings.eval_every + 1,
        num_steps=work.settings.num_steps,
    )


def sampling_seconds(facts: ModelFacts, work: Workload, chip: Chip, num_rows: int) -> float:
    """Time to complete `num_rows` prompts, a step's rows decoded at once."""
    if num_rows == 0:
        return 0.0
    rows = min(num_rows, work.settings.rows_per_step)
    prompt_tokens = work.prompts.typical_tokens
    prefill = _operations(facts, rows * prompt_tokens, 0) / chip.operations_per_second
    context = prompt_tokens + work.completion_tokens / 2
    kv_bytes = rows * context * facts.dimensions.kv_bytes_per_token
    reading = (facts.decode_bytes(rows) + kv_bytes) / chip.bytes_per_second
    computing = _operations(facts, rows, rows) / chip.operations_per_second
    each = max(reading, computing) + chip.seconds_per_decode_step
    return num_rows / rows * (prefill + work.completion_tokens * each)


def forward_seconds(facts: ModelFacts, work: Workload, chip: Chip, num_rows: float) -> float:
    """Time to read `num_rows` whole rows."""
    tokens = num_rows * work.typical_row_tokens
    return _operations(facts, tokens, 0, work.typical_row_tokens) / chip.operations_per_second


def _step(work: Workload, chip: Chip) -> StepSeconds:
    rows = work.settings.rows_per_step
    learning = _learning_seconds(work, chip, rows)
    if work.teacher is None or work.distillation is None:
        return StepSeconds(0.0, 0.0, learning)
    fresh = 0.0 if work.keeps_rollouts else rows * work.distillation.on_policy_fraction
    scored = fresh + (rows - fresh) * (1 - _cached_share(work))
    return StepSeconds(
        sampling=sampling_seconds(work.student, work, chip, round(fresh)),
        scoring=forward_seconds(work.teacher, work, chip, scored),
        learning=learning,
    )


def _learning_seconds(work: Workload, chip: Chip, rows: int) -> float:
    passes = 1 + BACKWARD_PASSES + (1 if work.settings.grad_checkpoint else 0)
    if work.lora is None:
        passes += 1
    forward = forward_seconds(work.student, work, chip, rows)
    positions = rows * work.learned_positions
    # Student logits and their gradient, and the teacher's logits from its hidden states.
    heads = 2 * head_weights(work.student.dimensions)
    if work.teacher is not None:
        heads += head_weights(work.teacher.dimensions)
    projecting = 2 * positions * heads / chip.operations_per_second
    return (forward * passes + projecting) * (1 + SMALL_WORK)


def _evaluation(work: Workload, chip: Chip) -> float:
    rows = work.num_held_out
    reading = forward_seconds(work.student, work, chip, rows)
    if work.teacher is None or work.distillation is None:
        return reading
    if not work.distillation.keep_teacher_loaded:
        return reading
    scoring = forward_seconds(work.teacher, work, chip, rows)
    return sampling_seconds(work.student, work, chip, rows) + scoring + reading


def _made_once(work: Workload, chip: Chip) -> float:
    """Completions and scores that are made before the first step or when first needed."""
    if work.teacher is None or work.distillation is None or work.num_kept_rows == 0:
        return 0.0
    share = work.distillation.on_policy_fraction
    seen = work.num_kept_rows
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


def _operations(facts: ModelFacts, tokens: float, positions: float, context: float = 0.0) -> float:
    """Operations of a forward pass over tokens, with logits at some positions."""
    d = facts.dimensions
    experts = d.experts_per_token if d.num_experts else None
    body = 2 * body_weights(d, experts) / (EXPERT_EFFICIENCY if d.num_experts else 1)
    attention = 2 * d.num_layers * d.query_width * context
    return tokens * (body + attention) + 2 * positions * head_weights(d)
