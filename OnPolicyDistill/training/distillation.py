"""What a step of distillation is made of, for every trainer whose teacher scores.

trainers/on_policy.py says what a step minimizes; a teacher may see another prompt than the student
(teacher/prompted.py) without any difference here.

Letters: B rows, T padded length, N completion positions of a micro-batch, D hidden width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.adapters.merged import merged_for_decoding
from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.distributed.ranks import this_process
from OnPolicyDistill.evaluation.by_teacher import figures_by_teacher
from OnPolicyDistill.evaluation.heldout import BOUND, HeldOut, evaluate_student
from OnPolicyDistill.evaluation.intervals import share_of
from OnPolicyDistill.evaluation.positions import flattened_at
from OnPolicyDistill.evaluation.proof import Probe, prove_learning, require
from OnPolicyDistill.generation.request import GenerationHooks
from OnPolicyDistill.lanes import in_lanes, num_lanes, one_thread_a_product
from OnPolicyDistill.losses.distillation import (
    TokenStats,
    distillation_loss,
    reused_distillation_loss,
)
from OnPolicyDistill.losses.importance import ReusedTokens
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.targets import Targets, rows_of, top_ids
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.optim.adamw import create_adamw
from OnPolicyDistill.optim.gradients import Gradients
from OnPolicyDistill.optim.stopping import Verdict
from OnPolicyDistill.rollout import Rollout, pack
from OnPolicyDistill.runs.events import SelfTestFinished
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.prefix import AUTO
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.teacher.scorer import Scorer, finest_form
from OnPolicyDistill.training.records import Scored, StepReport, rollout_records
from OnPolicyDistill.training.rollouts import (
    CompletionStore,
    MicroBatch,
    Row,
    complete_rows,
    complete_together,
    in_micro_batches,
)
from OnPolicyDistill.training.shown_pictures import keep_copies, shown_pictures
from OnPolicyDistill.training.student import Student
from OnPolicyDistill.training.work import Work

PROBE_ROWS = 4


def objective_of(settings: DistillationSettings) -> Objective:
    """What a step minimizes, as the losses read it."""
    return Objective(
        divergence=settings.divergence,
        temperature=settings.temperature,
        kl_weight=settings.kl_weight,
        ce_weight=settings.ce_weight,
        teacher_weight=settings.teacher_weight,
    )


def sample(
    rows: Sequence[Row],
    student: Student,
    teacher: Scorer,
    store: CompletionStore,
    settings: DistillationSettings,
    hooks: GenerationHooks,
) -> list[MicroBatch]:
    """Complete this rank's share of a step's rows: the student samples what is fresh, all at once.

    A teacher that lives elsewhere reads the first of them while the others are still sampled. The
    rest comes from the store, cut to the longest completion of `settings`.
    """
    own = this_process().own(rows)
    fresh_rows = [row for row in own if row.is_fresh]
    ahead = replace(hooks, finished=teacher.expect)
    with merged_for_decoding(student.policy.model):
        fresh = complete_rows(student.policy, fresh_rows, settings, ahead)
    return in_micro_batches(own, fresh, store, settings)


def complete_new(
    rows: Sequence[Row],
    teacher: Scorer,
    store: CompletionStore,
    settings: DistillationSettings,
    hooks: GenerationHooks,
) -> None:
    """Let the teacher complete the rows of its own whose prompts any rank meets for the first time.

    As far as any later step may learn: where `loss_tokens: auto` is short now, it may follow again.
    """
    missing = store.missing("teacher", rows)
    if missing:
        made = complete_together(teacher.policy, missing, settings.limited(), hooks)
        store.add("teacher", made)


def score(teacher: Scorer, student: Student, batch: MicroBatch) -> Targets:
    """The teacher's targets of a micro-batch, evaluated.

    Kept rows of top-k targets also hold the tokens that the student likes now.
    """
    likely = None
    if batch.kept and teacher.compresses_anew():
        likely = likely_ids(student, batch.kept, teacher.form.top_k)
    return teacher.score(batch.fresh, batch.kept, kept_ids=likely)


def likely_ids(student: Student, rollouts: Sequence[Rollout], k: int) -> mx.array:
    """The student's own k best ids, (N, k), on completions that it did not sample now."""
    packed = pack(rollouts)
    model = student.policy.model
    model.eval()
    hidden = read_hidden_states(model, packed.tokens)  # (B, T, D)
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), packed.positions, axis=0)  # (N, D)
    return top_ids(hidden, student.head, k)


# Loss, statistics (n,), hidden states (n, D) and weights (n,) of some rows.
Part = tuple[mx.array, TokenStats, mx.array, mx.array | None]


def learn(
    student: Student,
    batch: MicroBatch,
    targets: Targets,
    normalizer: float,
    objective: Objective,
) -> tuple[Scored, Gradients]:
    """Loss of a micro-batch as its share of the step's, and the adapter's gradient of it."""
    rollouts = tuple(batch.rollouts)
    packed = pack(rollouts)
    model, head = student.policy.model, student.head
    ends = list(accumulate((len(r.completion_ids) for r in rollouts), initial=0))
    reused = reused_tokens(batch, packed.labels) if batch.is_reused else None

    def part_of(model: nn.Module, rows: slice) -> Part:
        tokens = packed.tokens[rows]  # (b, T), whose positions are N of the whole
        own = slice(ends[rows.start], ends[rows.stop])
        positions = packed.positions[own] - rows.start * tokens.shape[1]
        hidden = hidden_states(model, tokens)
        hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), positions, axis=0)  # (N, D)
        taught = rows_of(targets, own)
        if reused is not None:
            of_part = reused.of(rows, own)
            weighted = reused_distillation_loss(
                hidden, head, taught, of_part, normalizer, objective
            )
            return *weighted[:2], hidden, weighted[2]
        labels = packed.labels[own]
        return *distillation_loss(hidden, head, taught, labels, normalizer, objective), hidden, None

    def loss_of(model: nn.Module) -> Part:
        losses, stats, hidden, weights = zip(
            *in_lanes(len(rollouts), partial(part_of, model)), strict=True
        )
        weighed = [part for part in weights if part is not None]
        return (
            sum(losses[1:], losses[0]),
            TokenStats.joined(stats),
            mx.concatenate(list(hidden)),
            mx.concatenate(weighed) if weighed else None,
        )

    model.train()
    with one_thread_a_product(num_lanes(len(rollouts))):
        (loss, stats, hidden, weights), gradients = nn.value_and_grad(model, loss_of)(model)
        model.eval()
        mx.eval(loss, gradients, *stats.arrays, hidden, *([] if weights is None else [weights]))
    scored = Scored(rollouts, len(batch.fresh), as_float(loss), stats, hidden, targets, weights)
    return scored, gradients


def reused_tokens(batch: MicroBatch, labels: mx.array) -> ReusedTokens:
    """What the loss has to know of rollouts that an earlier student sampled."""
    logprobs = [value for rollout in batch.rollouts for value in rollout.logprobs]
    lengths = [len(rollout.completion_ids) for rollout in batch.rollouts]
    return ReusedTokens(labels, mx.array(logprobs), lengths)


def show(
    work: Work,
    report: StepReport,
    student: Student,
    texts: Mapping[int, str],
) -> None:
    """Write a few of a step's rollouts with small copies of the pictures that they show.

    `texts` are prompts as people read them, by index.
    """
    records = rollout_records(report, student.policy, student.head, texts)
    rollouts = () if report.first is None else report.first.rollouts
    for record, rollout in zip(records, rollouts, strict=False):
        keep_copies(shown_pictures(student.policy, rollout.prompt_ids), work.run.pictures)
        work.reporter.rollout(record)


def evaluate(
    work: Work,
    student: Student,
    teacher: Scorer,
    held_out: HeldOut,
    teacher_marks: tuple[float | None, ...] = (),
) -> Verdict:
    """Measure the student on held-out prompts and judge where the run stands.

    `teacher_marks` say which of the prompts the teacher answers rightly.
    """
    work.reporter.phase("evaluating", held_out.in_words)
    measured = evaluate_student(student.policy, student.head, teacher, held_out, work.hooks)
    settings = work.settings
    assert isinstance(settings, DistillationSettings | PromptDistillationSettings)
    if settings.loss_tokens == AUTO:
        measured.metrics["eval_loss_tokens"] = float(flattened_at(measured.by_position))
    if work.state.step == 0 and _are_whole(held_out, teacher_marks):
        key = "eval_teacher_accuracy"
        measured.metrics[key], measured.intervals[key] = share_of(teacher_marks)
    measured = figures_by_teacher(measured, held_out, teacher_marks)
    key = work.best_metric + ("" if teacher.offer.is_exact else BOUND)
    verdict = work.judge(measured, key)
    work.alarms.after_evaluation(work.state.evaluations_since_best, key, measured.metrics)
    return verdict


def _are_whole(held_out: HeldOut, teacher_marks: tuple[float | None, ...]) -> bool:
    """Whether every prompt that is graded has its teacher's mark: of several not all may write."""
    graded = [
        mark
        for prompt, mark in zip(held_out.prompts, teacher_marks, strict=bool(teacher_marks))
        if prompt.answer is not None
    ]
    return bool(graded) and None not in graded


def prove(
    work: Work,
    settings: DistillationSettings,
    student: Student,
    teacher: Scorer,
    batch: MicroBatch,
    samples_policy: bool,
) -> None:
    """Show that this run can learn, or stop it before it pretends to.

    `samples_policy` says that the student sampled the batch, from its own distribution.

    Raises:
        ProofError: a claim does not hold.
    """
    targets = teacher.score(batch.fresh, batch.kept, finest_form(teacher))
    objective, num_tokens = objective_of(settings), batch.num_tokens
    checks = prove_learning(
        Probe(
            student=student.policy,
            head=student.head,
            rollouts=tuple(batch.rollouts),
            targets=targets,
            gradients=lambda _: learn(student, batch, targets, num_tokens, objective)[1],
            make_optimizer=lambda: create_adamw(settings, student.policy.model),
            samples_policy=samples_policy,
        )
    )
    passed = all(check.passed for check in checks)
    work.reporter.emit(SelfTestFinished(passed=passed, checks=checks))
    require(checks)
