import math
from typing import Any

import mlx.core as mx
import pytest

from OnPolicyDistill.losses.distillation import distillation_loss
from OnPolicyDistill.losses.divergence import reverse_kl
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.policy_gradient import sampled_reverse_kl
from OnPolicyDistill.losses.softened import soften

STUDENT = mx.log(mx.array([[1 / 2, 1 / 4, 1 / 4]]))
TEACHER = mx.log(mx.array([[1 / 8, 1 / 8, 3 / 4]]))


def test_the_sign_by_hand_raises_what_the_teacher_likes_more() -> None:
    # y = 2: advantage ln(3/4) - ln(1/4) = ln 3; value -ln 3 * ln(1/4) = 1.523000
    # gradient -ln 3 * (onehot - s) = ln 3 * (1/2, 1/4, -3/4)
    teacher_logprob = mx.array([math.log(3 / 4)])
    value, gradient = sampled_reverse_kl(soften(STUDENT, 1.0), mx.array([2]), teacher_logprob)
    assert value.item() == pytest.approx(1.523000, abs=1e-5)
    assert gradient[0].tolist() == pytest.approx([0.549306, 0.274653, -0.823959], abs=1e-6)


def test_its_expectation_over_the_students_samples_is_the_reverse_kls_gradient() -> None:
    labels = mx.arange(3)
    student = mx.broadcast_to(STUDENT, (3, 3))
    _, gradients = sampled_reverse_kl(soften(student, 1.0), labels, TEACHER[0])
    expectation = (mx.exp(STUDENT[0])[:, None] * gradients).sum(axis=0)
    _, exact = reverse_kl(soften(STUDENT, 1.0), soften(TEACHER, 1.0))
    assert expectation.tolist() == pytest.approx(exact[0].tolist(), abs=1e-6)


def test_the_sampled_log_ratio_itself_would_teach_nothing() -> None:
    def log_ratio(logits: mx.array, label: int) -> mx.array:
        return logits[label] - mx.logsumexp(logits) - TEACHER[0, label]

    expectation = mx.zeros(3)
    for label in range(3):
        expectation += mx.exp(STUDENT[0, label]) * mx.grad(log_ratio)(STUDENT[0], label)
    assert expectation.tolist() == pytest.approx([0, 0, 0], abs=1e-6)


def test_the_advantage_is_held_constant_in_the_fused_loss(pair: Any) -> None:
    wanted = Objective(
        divergence="sampled_reverse_kl",
        temperature=1.0,
        kl_weight=1.0,
        ce_weight=0.0,
        teacher_weight=0.5,
    )

    def loss(hidden: mx.array) -> mx.array:
        return distillation_loss(hidden, pair.head, pair.targets, pair.labels, 7.0, wanted)[0]

    gradient = mx.grad(loss)(pair.hidden)

    def logprobs(head: Any, hidden: mx.array) -> mx.array:
        logits = head.logits(hidden)
        chosen = mx.take_along_axis(logits, pair.labels[:, None], axis=-1)[:, 0]
        return chosen - mx.logsumexp(logits, axis=-1)

    teacher = logprobs(pair.targets.head, pair.targets.hidden)
    advantage = teacher - logprobs(pair.head, pair.hidden)
    step = mx.zeros((7, 8)).at[4, 1].add(1e-2)
    above, below = (
        -(advantage * logprobs(pair.head, moved)).sum() / 7.0
        for moved in (pair.hidden + step, pair.hidden - step)
    )
    assert gradient[4, 1].item() == pytest.approx(((above - below) / 2e-2).item(), rel=2e-3)
