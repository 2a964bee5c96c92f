"""Learning given conversations on a course: the part that trainers with given answers share.

With N learned tokens in the whole optimizer step, a step minimizes

    -1 / N * sum log student(token | everything before it)

over the learned tokens of its rows only. With an adapter the projection is fused into the loss;
without one every weight learns, tied heads included.

Letters: B rows, T padded length, N learned positions of a micro-batch, D hidden width.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.adapters.dropout import seed_dropout
from OnPolicyDistill.arrays import as_float, float_list
from OnPolicyDistill.datasets.order import bucketed_rows, row_at
from OnPolicyDistill.evaluation.heldout import derive_seed
from OnPolicyDistill.evaluation.intervals import Measured, measure, sums_by_row
from OnPolicyDistill.losses.cross_entropy import (
    cross_entropy,
    cross_entropy_from_logits,
    label_logprobs,
)
from OnPolicyDistill.memory import memory_metrics, reset_peak
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import Policy, hidden_states, output_head
from OnPolicyDistill.optim.gradients import Gradients, add_gradients
from OnPolicyDistill.optim.stopping import Verdict
from OnPolicyDistill.rollout import PackedBatch
from OnPolicyDistill.runs.checkpoints import TrainingState
from OnPolicyDistill.runs.prompt_values import PromptValues
from OnPolicyDistill.runs.reporting import process_memory_gb
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.trainers.conversation_rows import ConversationRow, pack_rows
from OnPolicyDistill.trainers.course import Course
from OnPolicyDistill.trainers.milestones import Journey, take_evaluation

BEST_METRIC = "eval_loss"


def take_step(course: Course, state: TrainingState) -> TrainingState:
    """Pick rows, learn, report. Weights change in one place, at the end, or not at all."""
    course.stop.check()
    step, started = state.step + 1, time.perf_counter()
    reset_peak()
    rows = rows_of_step(course, step)
    normalizer = sum(len(row.learned) for row in rows)
    seed_dropout(course.student.model, derive_seed(course.settings.seed, "dropout", step))
    size = course.settings.batch_size
    loss, gradients = 0.0, None
    for start in range(0, len(rows), size):
        check_stop()
        share, more = differentiate(course, pack_rows(rows[start : start + size]), normalizer)
        gradients = add_gradients(gradients, more)
        mx.eval(gradients)
        loss += share
    assert gradients is not None
    metrics = _update(course, gradients, loss, step)
    seconds = time.perf_counter() - started
    _report(course, step, {**metrics, "num_tokens": normalizer, "step_seconds": seconds})
    return state.model_copy(
        update={
            "step": step,
            "data_cursor": step * course.settings.rows_per_step,
            "num_tokens": state.num_tokens + normalizer,
            "train_seconds": state.train_seconds + seconds,
        }
    )


def rows_of_step(course: Course, step: int) -> list[ConversationRow]:
    """Rows of step `step` (from 1): every conversation once an epoch, each epoch shuffled anew."""
    settings, rows = course.settings, course.rows
    size = settings.rows_per_step
    numbers = range((step - 1) * size, step * size)
    if course.length_buckets:
        lengths = [len(row.token_ids) for row in rows]
        places = bucketed_rows(numbers, lengths, settings.batch_size, settings.seed)
    else:
        places = [row_at(number, len(rows), settings.seed) for number in numbers]
    return [rows[place] for place in places]


def differentiate(course: Course, batch: PackedBatch, normalizer: int) -> tuple[float, Gradients]:
    """Loss of a micro-batch as its share of the step's, and the gradient of it."""
    model, vocab_size = course.student.model, course.student.vocab_size
    weights = mx.ones(batch.labels.shape)

    def loss_of(model: nn.Module) -> mx.array:
        hidden = hidden_states(model, batch.tokens)  # (B, T, D)
        hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
        head = output_head(model, vocab_size)
        if course.adapter is None:
            logits = head.plain_logits(hidden)
            return cross_entropy_from_logits(logits, batch.labels, weights, normalizer)
        return cross_entropy(hidden, head, batch.labels, weights, normalizer)[0]

    model.train()
    loss, gradients = nn.value_and_grad(model, loss_of)(model)
    model.eval()
    mx.eval(loss, gradients)
    return as_float(loss), gradients


def _update(course: Course, gradients: Gradients, loss: float, step: int) -> dict[str, float]:
    """Clip and apply, and say when a step whose numbers are not finite was left out."""
    update = course.updater.apply(gradients, loss, step)
    metrics = {
        "loss": loss,
        "cross_entropy": loss,
        "grad_norm": update.grad_norm,
        "learning_rate": update.learning_rate,
    }
    if not update.was_taken:
        course.reporter.warn(
            "not_finite",
            f"Step {step} gave a loss of {loss} and a gradient norm of {update.grad_norm}; "
            "it was left out.",
            "If it happens again, lower learning_rate.",
        )
    return {key: value for key, value in metrics.items() if math.isfinite(value)}


def _report(course: Course, step: int, metrics: dict[str, float]) -> None:
    seconds = metrics["step_seconds"]
    metrics |= memory_metrics() | {
        "learning_seconds": seconds,
        "tokens_per_second": metrics["num_tokens"] / seconds,
        "process_memory_gb": process_memory_gb(),
    }
    course.reporter.finish_step(step, metrics)


def evaluate(course: Course, state: TrainingState) -> tuple[TrainingState, Verdict]:
    """Measure the loss on held-out conversations, if there are any, and judge where it stands."""
    if not course.held_out:
        return state, "waiting"
    course.reporter.phase("evaluating", f"{len(course.held_out)} held-out conversations.")
    started = time.perf_counter()
    measured = measure_loss(course.student, course.held_out, course.settings)
    measured.metrics["eval_seconds"] = time.perf_counter() - started
    return take_evaluation(course.reporter, state, measured, BEST_METRIC, course.settings)


def journey(course: Course) -> Journey:
    """How a course steps, evaluates and saves, for `learn_until_done`."""
    return Journey(
        run=course.run,
        reporter=course.reporter,
        settings=course.settings,
        take_step=lambda state: take_step(course, state),
        evaluate=lambda state: evaluate(course, state),
        save_arrays=course.save_arrays,
    )


def measure_loss(
    student: Policy, rows: Sequence[ConversationRow], settings: OptimizerSettings
) -> Measured:
    """Mean -log p of the learned tokens of all rows together, in nats a token, and its interval."""
    losses: dict[int, float] = {}
    tokens: Counter[int] = Counter()
    head = output_head(student.model, student.vocab_size)
    for start in range(0, len(rows), settings.batch_size):
        check_stop()
        some = rows[start : start + settings.batch_size]
        batch = pack_rows(some)
        hidden = read_hidden_states(student.model, batch.tokens)
        hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
        logprobs = float_list(label_logprobs(hidden, head, batch.labels))
        for row, total in zip(some, sums_by_row(logprobs, _lengths(some)), strict=True):
            losses[row.conversation] = losses.get(row.conversation, 0.0) - total
            tokens[row.conversation] += len(row.learned)
    values = PromptValues(
        prompts=tuple(losses),
        tokens=tuple(tokens[conversation] for conversation in losses),
        token_sums={BEST_METRIC: tuple(losses.values())},
    )
    return measure(values, settings.seed)


def _lengths(rows: Sequence[ConversationRow]) -> list[int]:
    return [len(row.learned) for row in rows]
