"""Divergence without the logits: the distillation loss fused with both vocabulary projections.

A chunk of positions is projected, its loss and the gradient of its hidden states are made at
once, and its logits are gone before the next chunk begins. What is kept a position is one hidden
gradient and six numbers, so memory does not grow with positions times vocabulary.

Letters: N positions, V vocabulary, D hidden width (student's and teacher's may differ), K ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.chunks import carry_gradient, map_chunks, rows_per_chunk
from OnPolicyDistill.losses.cross_entropy import cross_entropy_terms
from OnPolicyDistill.losses.divergence import divergence
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.policy_gradient import sampled_reverse_kl
from OnPolicyDistill.losses.softened import Softened, soften
from OnPolicyDistill.losses.targets import Targets, TopKTargets, check_targets
from OnPolicyDistill.losses.top_k import bucketed_divergence


@dataclass(frozen=True, slots=True)
class TokenStats:
    """What the pass knows about every position, float32 (N,), before any weight or T^2.

    `divergence` is the one that is trained, at its temperature (sampled_reverse_kl trains the
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
    check_targets(head, targets, objective.temperature)

    def score(rows: mx.array, row_labels: mx.array, *target_rows: mx.array) -> Scores:
        student = soften(head.logits(rows), objective.temperature)
        taught = _teach(student, targets.with_arrays(*target_rows), row_labels, objective)
        loss, slope, stats = _combine(student, taught, row_labels, objective)
        return loss, head.hidden_gradient(slope).astype(mx.float32), *stats

    inputs = (mx.stop_gradient(hidden), labels, *targets.arrays)
    chunk_size = rows_per_chunk(head.vocab_size, objective.chunk_size)
    loss, gradient, *stats = map_chunks(score, inputs, chunk_size)
    return carry_gradient(loss.sum() / normalizer, hidden, gradient / normalizer), TokenStats(
        *stats
    )


@dataclass(frozen=True, slots=True)
class _Taught:
    """A teacher's word on n positions: the divergence (n,) from it, with the gradient (n, V)."""

    divergence: mx.array
    slope: mx.array
    top_id: mx.array
    label_logprob: mx.array


def _teach(student: Softened, targets: Targets, labels: mx.array, objective: Objective) -> _Taught:
    if isinstance(targets, TopKTargets):
        value, slope = bucketed_divergence(student, targets, objective)
        return _Taught(value, slope, targets.top_id, targets.label_logprob)
    teacher = soften(targets.head.logits(targets.hidden), objective.temperature)
    value, slope = divergence(student, teacher, objective)
    label_logprob = teacher.at_temperature_one().logprobs_of(labels[:, None])[:, 0]
    return _Taught(value, slope, mx.argmax(teacher.logits, axis=-1), label_logprob)


def _combine(
    student: Softened, taught: _Taught, labels: mx.array, objective: Objective
) -> tuple[mx.array, mx.array, Scores]:
    """Weighted loss (n,), its gradient in the logits (n, V), and the stats in order."""
    plain = student.at_temperature_one()
    value, slope = taught.divergence, taught.slope
    if objective.divergence == "sampled_reverse_kl":
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
    stats = (
        taught.divergence,
        hard_loss,
        best[:, 0].astype(mx.float32),
        label_logprob,
        label_logprob - taught.label_logprob,
        plain.entropy(),
    )
    return loss, slope, stats
