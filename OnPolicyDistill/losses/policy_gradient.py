"""The one-sample policy gradient of the reverse KL, as Thinking Machines' distillation uses it.

Sign conventions, once: the advantage of a sampled token is log teacher - log student, positive
where the teacher likes the token more; the loss is -advantage * log student with the advantage
held constant, so minimizing it raises the student's probability of those tokens.

Letters: N positions, V vocabulary.
"""

from __future__ import annotations

import mlx.core as mx

from OnPolicyDistill.losses.cross_entropy import cross_entropy_terms
from OnPolicyDistill.losses.softened import Softened


def sampled_reverse_kl(
    student: Softened, labels: mx.array, teacher_logprobs: mx.array
) -> tuple[mx.array, mx.array]:
    """-(log t(y) - log s(y)) * log s(y) at temperature 1 on labels (N,) that the student sampled.

    Returns the value (N,) and its gradient with respect to the student's logits (N, V), the
    bracket being constant. In expectation over y ~ student the gradient is that of
    KL(student || teacher); the value itself means nothing, its metric is log s(y) - log t(y).
    """
    negative_logprobs, gradient = cross_entropy_terms(student, labels)
    advantage = teacher_logprobs + negative_logprobs
    return advantage * negative_logprobs, advantage[:, None] * gradient
