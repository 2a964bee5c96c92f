"""Steps of distillation on a lesson, for every trainer whose teacher scores.

trainers/on_policy.py says what a step minimizes; a teacher may see another prompt than the student
(teacher/prompted.py) without any difference here.

Letters: B rows, T padded length, N completion positions of a micro-batch, D hidden width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.adapters.dropout import seed_dropout
from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.evaluation.heldout import derive_seed, distance_metric, evaluate_student
from OnPolicyDistill.evaluation.intervals import share_of
from OnPolicyDistill.evaluation.proof import Probe, prove_learning, require
from OnPolicyDistill.losses.distillation import TokenStats, distillation_loss
from OnPolicyDistill.losses.targets import HiddenTargets, Targets, top_ids
from OnPolicyDistill.memory import memory_metrics, reset_peak
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.optim.adamw import create_adamw
from OnPolicyDistill.optim.gradients import Gradients, add_gradients
from OnPolicyDistill.optim.stopping import Verdict
from OnPolicyDistill.rollout import Rollout, pack
from OnPolicyDistill.runs.checkpoints import TrainingState
from OnPolicyDistill.runs.events import SelfTestFinished
from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.runs.reporting import (
    process_memory_gb,
)
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.teacher.scoring import EXACT
from OnPolicyDistill.trainers.alarms import plateau_alarm, remember, step_alarms
from OnPolicyDistill.trainers.lesson import Lesson
from OnPolicyDistill.trainers.milestones import (
    Journey,
    take_evaluation,
)
from OnPolicyDistill.trainers.records import Scored, StepReport, rollout_records
from OnPolicyDistill.trainers.rollouts import Row, rows_of_step, sample, uses_fixed_rollouts

PROBE_ROWS = 4


def take_step(lesson: Lesson, state: TrainingState) -> TrainingState:
    """Sample, score, learn, report. Weights change in one place, at the end, or not at all."""
    lesson.stop.check()
    step = state.step + 1
    report = StepReport(step)
    reset_peak()
    with report.timed("sampling"):
        micro_batches = _choose_completions(lesson, step)
    normalizer = sum(micro.num_tokens for micro in micro_batches)
    seed_dropout(lesson.student.model, derive_seed(lesson.settings.seed, "dropout", step))
    gradients: Gradients | None = None
    for micro in micro_batches:
        check_stop()
        with report.timed("scoring"):
            likely = _likely_ids(lesson, micro.kept)
            targets = lesson.teacher.score(micro.fresh, micro.kept, kept_ids=likely)
        check_stop()
        with report.timed("learning"):
            scored, more = differentiate(lesson, micro, targets, normalizer)
            gradients = add_gradients(gradients, more)
            mx.eval(gradients)
        report.add(scored)
    assert gradients is not None
    with report.timed("learning"):
        report.update = lesson.updater.apply(gradients, report.loss, step)
    _report(lesson, report)
    return state.model_copy(
        update={
            "step": step,
            "data_cursor": step * lesson.settings.rows_per_step,
            "num_tokens": state.num_tokens + normalizer,
            "train_seconds": state.train_seconds + sum(report.seconds.values()),
        }
    )


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows of one forward and backward pass: fresh completions first, then kept ones."""

    fresh: list[Rollout]
    kept: list[Rollout]

    @property
    def rollouts(self) -> list[Rollout]:
        """All rows, in the order of their targets."""
        return self.fresh + self.kept

    @property
    def num_tokens(self) -> int:
        """Completion tokens: the micro-batch's share of the step's normalizer."""
        return sum(len(rollout.completion_ids) for rollout in self.rollouts)


def _choose_completions(lesson: Lesson, step: int) -> list[MicroBatch]:
    """Sample what has to be sampled now, for all micro-batches at once, and look up the rest."""
    settings, materials = lesson.settings, lesson.materials
    rows = rows_of_step(settings, materials.prompts, step)
    is_kept = {row.number: row.is_teachers or uses_fixed_rollouts(settings) for row in rows}
    fresh_rows = [row for row in rows if not is_kept[row.number]]
    fresh = sample(lesson.student, fresh_rows, settings, materials.hooks)
    sampled = {row.number: rollout for row, rollout in zip(fresh_rows, fresh, strict=True)}
    _add_missing(lesson, [row for row in rows if is_kept[row.number]])
    size = settings.batch_size
    return [
        MicroBatch(
            fresh=[sampled[row.number] for row in part if not is_kept[row.number]],
            kept=[materials.kept(row) for row in part if is_kept[row.number]],
        )
        for part in (rows[start : start + size] for start in range(0, len(rows), size))
    ]


def _add_missing(lesson: Lesson, rows: Sequence[Row]) -> None:
    """Let the teacher complete the prompts of its rows that come up for the first time."""
    materials = lesson.materials
    missing = materials.store.missing("teacher", [row for row in rows if row.is_teachers])
    if missing:
        made = sample(lesson.teacher.policy, missing, lesson.settings, materials.hooks)
        materials.store.add("teacher", made)


def _likely_ids(lesson: Lesson, kept: Sequence[Rollout]) -> mx.array | None:
    """The student's own best ids (N, k) on completions it did not sample now, where needed."""
    if not kept or not lesson.teacher.compresses_anew():
        return None
    batch = pack(kept)
    lesson.student.model.eval()
    hidden = read_hidden_states(lesson.student.model, batch.tokens)  # (B, T, D)
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
    return top_ids(hidden, lesson.head, lesson.teacher.form.top_k)


def differentiate(
    lesson: Lesson, micro: MicroBatch, targets: Targets, normalizer: float
) -> tuple[Scored, Gradients]:
    """Loss of a micro-batch as its share of the step's, and the adapter's gradient of it."""
    batch = pack(micro.rollouts)
    student = lesson.student.model

    def loss_of(model: nn.Module) -> tuple[mx.array, TokenStats, mx.array]:
        hidden = hidden_states(model, batch.tokens)  # (B, T, D)
        hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
        loss, stats = distillation_loss(
            hidden, lesson.head, targets, batch.labels, normalizer, lesson.objective
        )
        return loss, stats, hidden

    student.train()
    (loss, stats, hidden), gradients = nn.value_and_grad(student, loss_of)(student)
    student.eval()
    mx.eval(loss, gradients)
    rollouts = tuple(micro.rollouts)
    return Scored(rollouts, len(micro.fresh), as_float(loss), stats, hidden, targets), gradients


def _report(lesson: Lesson, report: StepReport) -> None:
    """Write the step's metrics and a few of its rollouts; say what a person should know."""
    metrics = report.metrics() | memory_metrics() | lesson.teacher.cache_metrics()
    metrics["process_memory_gb"] = process_memory_gb()
    finite = {key: value for key, value in metrics.items() if math.isfinite(value)}
    lesson.reporter.finish_step(report.step, finite)
    texts = {prompt.index: prompt.text for prompt in lesson.materials.prompts}
    for record in rollout_records(report, lesson.student, lesson.head, texts):
        lesson.reporter.rollout(record)
    if not report.update.was_taken:
        lesson.reporter.warn(
            "not_finite",
            f"Step {report.step} gave a loss of {report.loss} and a gradient norm of "
            f"{report.update.grad_norm}; it was left out.",
            "If it happens again, lower learning_rate.",
        )
    remember(lesson.recent, finite)
    lesson.raise_alarms(step_alarms(lesson.recent, lesson.settings.max_generation_tokens))


def evaluate(lesson: Lesson, state: TrainingState) -> tuple[TrainingState, Verdict]:
    """Measure the student on held-out prompts and judge where the run stands."""
    settings, materials = lesson.settings, lesson.materials
    lesson.reporter.phase("evaluating", materials.held_out.in_words)
    measured = evaluate_student(
        lesson.student, lesson.head, lesson.teacher, materials.held_out, materials.hooks
    )
    if state.step == 0 and any(mark is not None for mark in lesson.teacher_marks):
        key = "eval_teacher_accuracy"
        measured.metrics[key], measured.intervals[key] = share_of(lesson.teacher_marks)
    key = distance_metric(materials.held_out)
    state, verdict = take_evaluation(lesson.reporter, state, measured, key, settings)
    title, value = METRICS[key].title, measured.metrics[key]
    plateau = plateau_alarm(state.evaluations_since_best, title, value)
    lesson.raise_alarms(() if plateau is None else (plateau,))
    return state, verdict


def journey(lesson: Lesson) -> Journey:
    """How a lesson steps, evaluates and saves, for `learn_until_done`."""
    return Journey(
        run=lesson.run,
        reporter=lesson.reporter,
        settings=lesson.settings,
        take_step=lambda state: take_step(lesson, state),
        evaluate=lambda state: evaluate(lesson, state),
        save_arrays=lesson.save_arrays,
    )


def prove(lesson: Lesson) -> None:
    """Show that this run can learn, or stop it before it pretends to."""
    lesson.reporter.phase("self_test", "Proving that teacher, gradients and adapter are real.")
    settings, materials = lesson.settings, lesson.materials
    rows = materials.first_epoch()[:PROBE_ROWS]
    if uses_fixed_rollouts(settings):
        micro = MicroBatch([], [materials.kept(row) for row in rows])
    else:
        micro = MicroBatch(sample(lesson.student, rows, settings, materials.hooks), [])
    targets = lesson.teacher.score(micro.fresh, micro.kept, EXACT)
    assert isinstance(targets, HiddenTargets)
    sampled_by_student = not any(row.is_teachers for row in rows) or bool(micro.fresh)
    checks = prove_learning(
        Probe(
            student=lesson.student,
            head=lesson.head,
            rollouts=tuple(micro.rollouts),
            targets=targets,
            gradients=lambda _: differentiate(lesson, micro, targets, micro.num_tokens)[1],
            make_optimizer=lambda: create_adamw(settings, lesson.student.model),
            samples_policy=sampled_by_student and settings.samples_policy,
        )
    )
    passed = all(check.passed for check in checks)
    lesson.reporter.emit(SelfTestFinished(passed=passed, checks=checks))
    require(checks)
