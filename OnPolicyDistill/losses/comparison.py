"""How far two policies are apart, position by position at temperature 1, without a gradient.

Letters: N positions, V vocabulary, D hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.chunks import map_chunks, rows_per_chunk
from OnPolicyDistill.losses.divergence import forward_kl, reverse_kl
from OnPolicyDistill.losses.softened import Softened, soften
from OnPolicyDistill.losses.targets import Targets, TopKTargets, check_targets
from OnPolicyDistill.losses.top_k import bucketed_kls

TOP_FIVE = 5


@dataclass(frozen=True, slots=True)
class Comparison:
    """Student against teacher at every position, float32 (N,), nats.

    `agreement` is 1.0 where both have the same best token, `top5_agreement` where fewer than five
    tokens are more probable to the student than the teacher's best one (ties count for the
    student). The logprobs are those of the labels. Against top-k targets the two KLs and the
    teacher's entropy are over the set and its tail, hence lower bounds.
    """

    reverse_kl: mx.array
    forward_kl: mx.array
    agreement: mx.array
    top5_agreement: mx.array
    student_entropy: mx.array
    teacher_entropy: mx.array
    student_logprob: mx.array
    teacher_logprob: mx.array


def compare_distributions(
    hidden: mx.array,
    head: VocabularyHead,
    targets: Targets,
    labels: mx.array,
    chunk_size: int | None = None,
) -> Comparison:
    """Compare at temperature 1: hidden (N, D) and the targets predict labels (N,).

    Raises ValueError if the heads have different vocabularies, if the rows differ, or if top-k
    targets were made for another temperature than 1.
    """
    check_targets(head, targets, 1.0)

    def score(rows: mx.array, row_labels: mx.array, *target_rows: mx.array) -> tuple[mx.array, ...]:
        student = soften(head.logits(rows), 1.0)
        chunk = targets.with_arrays(*target_rows)
        *measures, top_id, teacher_logprob = _teacher_side(student, chunk, row_labels)
        reverse, forward, teacher_entropy = measures
        better = (student.logits > mx.take_along_axis(student.logits, top_id[:, None], -1)).sum(-1)
        agreement, top5 = (better < rank for rank in (1, TOP_FIVE))
        student_logprob = student.logprobs_of(row_labels[:, None])[:, 0]
        return (
            reverse,
            forward,
            agreement.astype(mx.float32),
            top5.astype(mx.float32),
            student.entropy(),
            teacher_entropy,
            student_logprob,
            teacher_logprob,
        )

    inputs = (mx.stop_gradient(hidden), labels, *targets.arrays)
    chunk_size = rows_per_chunk(head.vocab_size, chunk_size)
    return Comparison(*map_chunks(score, inputs, chunk_size))


def _teacher_side(
    student: Softened, targets: Targets, labels: mx.array
) -> tuple[mx.array, mx.array, mx.array, mx.array, mx.array]:
    """Reverse KL, forward KL, teacher's entropy, its best token and its logprob of the label."""
    if isinstance(targets, TopKTargets):
        return *bucketed_kls(student, targets), targets.top_id, targets.label_logprob
    teacher = soften(targets.head.logits(targets.hidden), 1.0)
    return (
        reverse_kl(student, teacher)[0],
        forward_kl(student, teacher)[0],
        teacher.entropy(),
        mx.argmax(teacher.logits, axis=-1),
        teacher.logprobs_of(labels[:, None])[:, 0],
    )
