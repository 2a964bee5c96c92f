"""Cross-entropy on given tokens: fused with the projection, or plain where logits exist.

Letters: N positions, V vocabulary, D hidden width.
"""

from __future__ import annotations

import mlx.core as mx

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.chunks import (
    carry_gradient,
    map_chunks,
    rows_per_chunk,
    rows_per_slice,
)
from OnPolicyDistill.losses.softened import Softened, soften
from OnPolicyDistill.vocabulary import log_partition


def cross_entropy_terms(student: Softened, ids: mx.array) -> tuple[mx.array, mx.array]:
    """-log p(ids), (N,), and its gradient in the logits / T, (N, V)."""
    index = ids[:, None]
    probabilities = student.probabilities
    chosen = mx.take_along_axis(probabilities, index, axis=-1)
    gradient = mx.put_along_axis(probabilities, index, chosen - 1, axis=-1)
    return -student.logprobs_of(index)[:, 0], gradient


def cross_entropy(
    hidden: mx.array,
    head: VocabularyHead,
    labels: mx.array,
    weights: mx.array,
    normalizer: float,
    chunk_size: int | None = None,
) -> tuple[mx.array, mx.array]:
    """Return sum of weights * CE / normalizer and the unweighted CE per position, in nats.

    hidden (N, D), labels (N,), weights (N,), 1.0 on tokens to learn. `normalizer` counts the
    tokens of the whole optimizer step, so that micro-batches add up. The loss is differentiable
    in `hidden` only: the head is frozen. Memory does not grow with N * V.
    """
    num_rows = rows_per_chunk(head.vocab_size, chunk_size)

    def score_logits(logits: mx.array, row_labels: mx.array) -> tuple[mx.array, ...]:
        return cross_entropy_terms(soften(logits, 1.0), row_labels)

    def score(rows: mx.array, row_labels: mx.array) -> tuple[mx.array, ...]:
        logits = head.logits(rows)
        inputs = (logits, row_labels)
        values, gradient = map_chunks(score_logits, inputs, rows_per_slice(num_rows))
        return values, head.hidden_gradient(gradient, logits)

    values, gradient = map_chunks(score, (mx.stop_gradient(hidden), labels), num_rows)
    loss = (values * weights).sum() / normalizer
    return carry_gradient(loss, hidden, gradient * (weights / normalizer)[:, None]), values


def cross_entropy_from_logits(
    logits: mx.array, labels: mx.array, weights: mx.array, normalizer: float
) -> mx.array:
    """Return sum of weights * CE / normalizer by plain autodiff; logits (N, V), the rest (N,).

    For models trained from scratch, whose tied head needs a gradient of its own.
    """
    logits = logits.astype(mx.float32)
    chosen = mx.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]
    return ((log_partition(logits)[:, 0] - chosen) * weights).sum() / normalizer


def label_logprobs(
    hidden: mx.array, head: VocabularyHead, labels: mx.array, chunk_size: int | None = None
) -> mx.array:
    """Float32 logprobs (N,) of labels (N,) at temperature 1; for scoring, without a gradient."""

    def score(rows: mx.array, row_labels: mx.array) -> tuple[mx.array, ...]:
        logits = head.logits(rows)
        chosen = mx.take_along_axis(logits, row_labels[:, None], axis=-1)[:, 0]
        return (chosen - log_partition(logits)[:, 0],)

    chunk_size = rows_per_chunk(head.vocab_size, chunk_size)
    return map_chunks(score, (mx.stop_gradient(hidden), labels), chunk_size)[0]
