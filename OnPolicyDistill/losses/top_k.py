"""Divergences against top-k targets: the set's tokens and one bucket for all the others.

Merging tokens into a bucket can only lower a divergence (the data-processing inequality), so the
value is a lower bound of the exact one, never negative and exact where the set is the vocabulary.

Letters: N positions, V vocabulary, K ids of a set.
"""

from __future__ import annotations

import mlx.core as mx

from OnPolicyDistill.losses.divergence import divergence, forward_kl, reverse_kl
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.softened import Softened, soften
from OnPolicyDistill.losses.targets import ABSENT, TopKTargets, outside


def bucketed_divergence(
    student: Softened, targets: TopKTargets, objective: Objective
) -> tuple[mx.array, mx.array]:
    """Divergence over K + 1 buckets, (N,), and its gradient in the logits / T, (N, V).

    The buckets' logprobs are the logits of a small vocabulary. Its gradient belongs to the set's
    tokens one to one; the tail's share is spread over its tokens by their probability in it.
    """
    tail = soften(outside(student.logits, targets.ids), student.temperature)
    student_buckets, teacher_buckets = _buckets(student, tail, targets)
    value, gradient = divergence(
        soften(student_buckets, 1.0), soften(teacher_buckets, 1.0), objective
    )
    spread = tail.exponentials * (gradient[:, -1:] / tail.total)
    rows = mx.arange(spread.shape[0])[:, None]
    return value, spread.at[rows, targets.ids].add(gradient[:, :-1])


def bucketed_kls(student: Softened, targets: TopKTargets) -> tuple[mx.array, mx.array, mx.array]:
    """Reverse KL, forward KL and the teacher's entropy over the buckets, each (N,)."""
    tail = soften(outside(student.logits, targets.ids), student.temperature)
    buckets = _buckets(student, tail, targets)
    student_side, teacher_side = (soften(logprobs, 1.0) for logprobs in buckets)
    reverse, forward = (kl(student_side, teacher_side)[0] for kl in (reverse_kl, forward_kl))
    return reverse, forward, teacher_side.entropy()


def _buckets(student: Softened, tail: Softened, targets: TopKTargets) -> tuple[mx.array, mx.array]:
    """Logprobs of the K + 1 buckets, student's and teacher's, (N, K + 1) each."""
    in_set = mx.where(mx.isinf(targets.logprobs), ABSENT, student.logprobs_of(targets.ids))
    student_tail = tail.log_total - student.log_total
    teacher_logprobs = mx.concatenate(
        [targets.logprobs.astype(mx.float32), targets.tail_logprob[:, None]], axis=-1
    )
    student_logprobs = mx.concatenate([in_set, student_tail], axis=-1)
    return mx.maximum(student_logprobs, ABSENT), mx.maximum(teacher_logprobs, ABSENT)
