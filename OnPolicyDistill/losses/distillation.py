"""Divergence without the logits: the distillation loss fused with both vocabulary projections.

A chunk of positions is projected, its loss and the gradient of its logits are made slice by
slice, that gradient is projected back, and all of it is gone before the next chunk begins. What
is kept of a position is a hidden gradient and six numbers, so memory does not grow with positions
times vocabulary.

Letters: N positions, V vocabulary, D hidden width (student's and teacher's may differ), K ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import mlx.core as mx

from OnPolicyDistill.divergences import FACTS
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.chunks import (
    carry_gradient,
    map_chunks,
    rows_per_chunk,
    rows_per_slice,
)
from OnPolicyDistill.losses.cross_entropy import cross_entropy_terms
from OnPolicyDistill.losses.divergence import divergence
from OnPolicyDistill.losses.importance import ReusedTokens, importance_weights
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.policy_gradient import sampled_reverse_kl
from OnPolicyDistill.losses.softened import Softened, soften
from OnPolicyDistill.losses.targets import HiddenTargets, Targets, TopKTargets, check_targets
from OnPolicyDistill.losses.top_k import bucketed_divergence


@dataclass(frozen=True, slots=True)
class TokenStats:
    """What the pass knows about every position, float32 (N,), before any weight or T^2.

    `divergence` is the one that is trained, at its temperature (a sampled one estimates the
    reverse KL, so that is what it shows). The others are at temperature 1: `cross_entropy` on the
    teacher's best token; `agreement`, 1.0 where it is also the student's best (ties count);
    `student_logprob` of the label; `sampled_reverse_kl`, log student - log teacher of the label;
    `student_entropy` in nats.
    """

    divergence: mx.array
    cross_entropy: mx.array
    agreement: mx.array
    student_logprob: mx.array
    sampled_reverse_kl: mx.array
    student_entropy: mx.array

    @property
    def arrays(self) -> tuple[mx.array, ...]:
        """The arrays in the order of the fields."""
        return (
            self.divergence,
            self.cross_entropy,
            self.agreement,
            self.student_logprob,
            self.sampled_reverse_kl,
            self.student_entropy,
        )

    @classmethod
    def joined(cls, parts: Sequence[TokenStats]) -> TokenStats:
        """Statistics of several parts' positions, one after the other."""
        every = zip(*(part.arrays for part in parts), strict=True)
        return cls(*(mx.concatenate(list(arrays)) for arrays in every))


Scores = tuple[mx.array, ...]


def distillation_loss(
    hidden: mx.array,
    head: VocabularyHead,
    targets: Targets,
    labels: mx.array,
    normalizer: float,
    objective: Objective,
) -> tuple[mx.array, TokenStats]:
    """kl_weight * T^2 / normalizer * sum D + ce_weight / normalizer * sum CE, a scalar, and stats.

    hidden (N, D) are the student's final hidden states at the positions that predict labels
    (N,), the completion's tokens; the targets have the same rows. `normalizer` counts the
    completion tokens of the whole optimizer step, so that the losses of micro-batches add up.
    The loss is differentiable in `hidden` alone: both heads are frozen.

    Raises ValueError if the heads have different vocabularies, if the rows differ, or if top-k
    targets were made for another temperature.
    """
    loss, gradient, stats = _by_position(hidden, head, targets, labels, objective)
    return carry_gradient(loss.sum() / normalizer, hidden, gradient / normalizer), stats


def reused_distillation_loss(
    hidden: mx.array,
    head: VocabularyHead,
    targets: Targets,
    reused: ReusedTokens,
    normalizer: float,
    objective: Objective,
) -> tuple[mx.array, TokenStats, mx.array]:
    """The same of rollouts that an earlier student sampled, each position weighted (importance.py).

    Also returns the weights, (N,). The statistics are before weights, too.
    """
    loss, gradient, stats = _by_position(hidden, head, targets, reused.labels, objective)
    is_sampled = FACTS[objective.divergence].is_sampled
    weights = importance_weights(stats.student_logprob, reused, with_own=is_sampled)
    loss, gradient = weights * loss, weights[:, None] * gradient
    carried = carry_gradient(loss.sum() / normalizer, hidden, gradient / normalizer)
    return carried, stats, weights


def _by_position(
    hidden: mx.array,
    head: VocabularyHead,
    targets: Targets,
    labels: mx.array,
    objective: Objective,
) -> tuple[mx.array, mx.array, TokenStats]:
    """Loss (N,) and its gradient in the hidden states (N, D), not yet normalized, and stats."""
    check_targets(head, targets, objective.temperature)
    chunk_size = rows_per_chunk(head.vocab_size, objective.chunk_size)
    score_logits = partial(_score_logits, targets, objective)

    def score(rows: mx.array, row_labels: mx.array, *target_rows: mx.array) -> Scores:
        logits = head.logits(rows)
        inputs = (logits, row_labels, *_projected(targets, target_rows))
        loss, slope, *stats = map_chunks(score_logits, inputs, rows_per_slice(chunk_size))
        return loss, head.hidden_gradient(slope, logits), *stats

    inputs = (mx.stop_gradient(hidden), labels, *targets.arrays)
    loss, gradient, *stats = map_chunks(score, inputs, chunk_size)
    return loss, gradient, TokenStats(*stats)


@dataclass(frozen=True, slots=True)
class _Taught:
    """A teacher's word on n positions: the divergence (n,) from it, with the gradient (n, V)."""

    divergence: mx.array
    slope: mx.array
    top_id: mx.array
    label_logprob: mx.array


def _projected(targets: Targets, rows: Scores) -> Scores:
    """Turn a chunk of target arrays into what has logits' rows: the teacher's logits or top-k."""
    return (targets.head.logits(rows[0]),) if isinstance(targets, HiddenTargets) else rows


def _score_logits(
    targets: Targets, objective: Objective, logits: mx.array, labels: mx.array, *known: mx.array
) -> Scores:
    """Loss (n,), its gradient in the logits (n, V) and stats (n,) of a slice of n positions."""
    student = soften(logits, objective.temperature)
    if isinstance(targets, HiddenTargets):
        taught = _teach_exactly(student, soften(known[0], objective.temperature), labels, objective)
    else:
        taught = _teach_top_k(student, targets.with_arrays(*known), objective)
    return _combine(student, taught, labels, objective)


def _teach_exactly(
    student: Softened, teacher: Softened, labels: mx.array, objective: Objective
) -> _Taught:
    value, slope = divergence(student, teacher, objective)
    label_logprob = teacher.at_temperature_one().logprobs_of(labels[:, None])[:, 0]
    return _Taught(value, slope, mx.argmax(teacher.logits, axis=-1), label_logprob)


def _teach_top_k(student: Softened, targets: TopKTargets, objective: Objective) -> _Taught:
    value, slope = bucketed_divergence(student, targets, objective)
    return _Taught(value, slope, targets.top_id, targets.label_logprob)


def _combine(student: Softened, taught: _Taught, labels: mx.array, objective: Objective) -> Scores:
    """Weighted loss, its gradient in the logits, and the fields of TokenStats in order."""
    plain = student.at_temperature_one()
    value, slope = taught.divergence, taught.slope
    if FACTS[objective.divergence].is_sampled:
        value, slope = sampled_reverse_kl(plain, labels, taught.label_logprob)
    hard_loss, hard_slope = cross_entropy_terms(plain, taught.top_id)
    # d/d logits is 1/T of d/d (logits / T), hence T and not T^2 on the slope.
    scale = objective.kl_weight * objective.temperature
    loss = scale * objective.temperature * value + objective.ce_weight * hard_loss
    slope = scale * slope
    if objective.ce_weight > 0:
        slope = slope + objective.ce_weight * hard_slope
    best = mx.take_along_axis(plain.logits, taught.top_id[:, None], axis=-1) >= plain.peak
    label_logprob = plain.logprobs_of(labels[:, None])[:, 0]
    return (
        loss,
        slope,
        taught.divergence,
        hard_loss,
        best[:, 0].astype(mx.float32),
        label_logprob,
        label_logprob - taught.label_logprob,
        plain.entropy(),
    )
