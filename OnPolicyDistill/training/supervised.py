"""What a step of supervised fine-tuning is made of, for trainers whose completions are given.

With N learned tokens in the whole optimizer step, a step minimizes

    -1 / N * sum log student(token | everything before it)

over the learned tokens of its rows only. With an adapter the projection is fused into the loss;
without one every weight learns, tied heads included.

Letters: B rows, T padded length, N learned positions of a micro-batch, D hidden width.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.arrays import as_float, float_list
from OnPolicyDistill.datasets.order import bucketed_rows, row_at
from OnPolicyDistill.evaluation.intervals import Measured, measure, sums_by_row
from OnPolicyDistill.losses.cross_entropy import (
    cross_entropy,
    cross_entropy_from_logits,
    label_logprobs,
)
from OnPolicyDistill.models.layout import output_head
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import Policy, hidden_states
from OnPolicyDistill.optim.gradients import Gradients
from OnPolicyDistill.optim.stopping import Verdict
from OnPolicyDistill.rollout import PackedBatch
from OnPolicyDistill.runs.prompt_values import PromptValues
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.training.conversation_rows import ConversationRow, pack_rows
from OnPolicyDistill.training.shown_answers import NOTHING_SHOWN, ShownPrompts, answer_shown
from OnPolicyDistill.training.student import Student
from OnPolicyDistill.training.work import Work


def rows_of_step(
    rows: Sequence[ConversationRow],
    settings: OptimizerSettings,
    step: int,
    length_buckets: bool = False,
) -> list[ConversationRow]:
    """Rows of step `step` (from 1): every conversation once an epoch, each epoch shuffled anew.

    With `length_buckets` rows of similar length share a micro-batch.
    """
    size = settings.rows_per_step
    numbers = range((step - 1) * size, step * size)
    if length_buckets:
        lengths = [len(row.token_ids) for row in rows]
        places = bucketed_rows(numbers, lengths, settings.batch_size, settings.seed)
    else:
        places = [row_at(number, len(rows), settings.seed) for number in numbers]
    return [rows[place] for place in places]


def in_micro_batches(rows: Sequence[ConversationRow], size: int) -> list[Sequence[ConversationRow]]:
    """A step's rows, `size` at a time."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def learn(
    student: Student, rows: Sequence[ConversationRow], normalizer: int
) -> tuple[float, Gradients]:
    """Loss of a micro-batch as its share of the step's, and the gradient of it."""
    model, batch = student.policy.model, pack_rows(rows)

    def loss_of(model: nn.Module) -> mx.array:
        return loss_at(student, hidden_states(model, batch.tokens), batch, normalizer)

    model.train()
    loss, gradients = nn.value_and_grad(model, loss_of)(model)
    model.eval()
    mx.eval(loss, gradients)
    return as_float(loss), gradients


def loss_at(student: Student, hidden: mx.array, batch: PackedBatch, normalizer: int) -> mx.array:
    """Loss of a micro-batch from its final hidden states (B, T, D), by the student's own head."""
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
    weights = mx.ones(batch.labels.shape)
    if student.adapter is None:
        logits = student.head.plain_logits(hidden)
        return cross_entropy_from_logits(logits, batch.labels, weights, normalizer)
    return cross_entropy(hidden, student.head, batch.labels, weights, normalizer)[0]


def step_metrics(loss: float, num_tokens: int, seconds: float) -> dict[str, float]:
    """Metrics of a step; keys and units are declared in runs/metrics.py."""
    return {
        "loss": loss,
        "cross_entropy": loss,
        "num_tokens": num_tokens,
        "step_seconds": seconds,
        "learning_seconds": seconds,
        "tokens_per_second": num_tokens / seconds,
    }


def evaluate(
    work: Work,
    student: Student,
    held_out: Sequence[ConversationRow],
    settings: OptimizerSettings,
    shown: ShownPrompts = NOTHING_SHOWN,
) -> Verdict:
    """Measure the loss on held-out conversations, if there are any, and judge where it stands.

    The student's answers to the `shown` ones are kept for people.
    """
    if not held_out:
        return "waiting"
    work.reporter.phase("evaluating", f"{len(held_out)} held-out conversations.")
    started = time.perf_counter()
    measured = measure_loss(student.policy, held_out, settings)
    measured = replace(measured, answers=answer_shown(student.policy, shown, work.hooks))
    measured.metrics["eval_seconds"] = time.perf_counter() - started
    return work.judge(measured, work.best_metric)


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
        token_sums={"eval_loss": tuple(losses.values())},
    )
    return measure(values, settings.seed)


def _lengths(rows: Sequence[ConversationRow]) -> list[int]:
    return [len(row.learned) for row in rows]
