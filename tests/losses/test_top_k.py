import math
from dataclasses import replace
from typing import Any

import mlx.core as mx
import pytest

from benchmarks.plain import plain_divergence
from OnPolicyDistill.divergences import DIVERGENCES, FACTS, Divergence
from OnPolicyDistill.losses.distillation import TokenStats, distillation_loss
from OnPolicyDistill.losses.divergence import divergence
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.softened import soften
from OnPolicyDistill.losses.targets import Targets, TopKTargets, top_ids, top_k_targets
from OnPolicyDistill.losses.top_k import bucketed_divergence
from tests.losses.conftest import NUM_TERMS
from tests.rounding import agree, rounding

EXACT = [name for name in DIVERGENCES if not FACTS[name].is_sampled]


def objective(name: Divergence, temperature: float = 2.0) -> Objective:
    return Objective(
        divergence=name,
        temperature=temperature,
        kl_weight=0.8,
        ce_weight=0.2,
        teacher_weight=0.3,
        chunk_size=3,
    )


def fused(pair: Any, targets: Targets, wanted: Objective) -> tuple[mx.array, mx.array, TokenStats]:
    def loss(hidden: mx.array) -> tuple[mx.array, TokenStats]:
        return distillation_loss(hidden, pair.head, targets, pair.labels, 5.0, wanted)

    (value, stats), gradient = mx.value_and_grad(loss)(pair.hidden)
    return value, gradient, stats


def test_three_tokens_in_two_buckets_by_hand() -> None:
    # Student (1/2, 1/4, 1/4), teacher (1/8, 1/8, 3/4), set {2}: buckets s = (1/4, 3/4) and
    # t = (3/4, 1/4). KL(s || t) = 1/4 ln(1/3) + 3/4 ln 3 = ln 3 / 2 = 0.549306
    # Gradient on the buckets: 1/4 (-ln 3 - ln 3 / 2) = -0.411980 and +0.411980, the latter
    # spread over the tail's tokens as 2/3 and 1/3: 0.274653 and 0.137327.
    student = soften(mx.log(mx.array([[1 / 2, 1 / 4, 1 / 4]])), 1.0)
    targets = TopKTargets(
        ids=mx.array([[2]]),
        logprobs=mx.array([[math.log(3 / 4)]]),
        tail_logprob=mx.array([math.log(1 / 4)]),
        top_id=mx.array([2]),
        label_logprob=mx.array([0.0]),
        temperature=1.0,
    )
    value, gradient = bucketed_divergence(student, targets, objective("reverse_kl", 1.0))
    assert value.item() == pytest.approx(0.549306, abs=1e-6)
    assert gradient[0].tolist() == pytest.approx([0.274653, 0.137327, -0.411980], abs=1e-6)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("with_students_ids", [False, True])
def test_gradient_equals_plain_autodiff_over_the_buckets(
    pair: Any, name: Divergence, with_students_ids: bool
) -> None:
    also = top_ids(pair.hidden, pair.head, 4) if with_students_ids else None
    targets = top_k_targets(pair.targets, pair.labels, 5, 2.0, also)
    wanted = replace(objective(name), ce_weight=0.0)
    value, gradient, _ = fused(pair, targets, wanted)
    in_set = mx.put_along_axis(mx.zeros((7, 40)), targets.ids, mx.array(1.0), axis=-1)

    def plain(hidden: mx.array) -> mx.array:
        scaled = pair.head.logits(hidden) / 2
        logprobs = scaled - mx.logsumexp(scaled, axis=-1, keepdims=True)
        tail = mx.log((mx.exp(logprobs) * (1 - in_set)).sum(axis=-1, keepdims=True))
        teacher_scaled = pair.targets.head.logits(pair.targets.hidden) / 2
        teacher = teacher_scaled - mx.logsumexp(teacher_scaled, axis=-1, keepdims=True)
        teacher_tail = mx.log((mx.exp(teacher) * (1 - in_set)).sum(axis=-1, keepdims=True))
        mask = mx.concatenate([in_set, mx.ones((7, 1))], axis=-1)
        s, t = mx.concatenate([logprobs, tail], -1), mx.concatenate([teacher, teacher_tail], -1)
        # What is no bucket has no mass on either side.
        s, t = (mx.where(mask == 1, logprobs, -1e4) for logprobs in (s, t))
        return 0.8 * 4 * plain_divergence(s, t, wanted).sum() / 5.0

    expected, expected_gradient = mx.value_and_grad(plain)(pair.hidden)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert mx.allclose(gradient, expected_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", EXACT)
def test_the_bound_rises_with_k_and_is_exact_at_the_whole_vocabulary(
    pair: Any, name: Divergence
) -> None:
    exact_value, exact_gradient, exact = fused(pair, pair.targets, objective(name))
    below = mx.zeros((7,))
    slack = rounding(NUM_TERMS, exact.divergence.max().item())
    for k in (1, 4, 16, 39, 40):
        targets = top_k_targets(pair.targets, pair.labels, k, 2.0)
        value, gradient, stats = fused(pair, targets, objective(name))
        assert (stats.divergence >= below - slack).all().item()
        assert (stats.divergence <= exact.divergence + slack).all().item()
        below = stats.divergence
        for field in ("cross_entropy", "agreement", "student_logprob", "sampled_reverse_kl"):
            assert agree(getattr(stats, field), getattr(exact, field), NUM_TERMS)
        if k >= 39:
            assert value.item() == pytest.approx(exact_value.item(), rel=1e-5)
            assert mx.allclose(gradient, exact_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", EXACT)
def test_a_single_token_still_teaches(pair: Any, name: Divergence) -> None:
    targets = top_k_targets(pair.targets, pair.labels, 1, 2.0)
    _, gradient, _ = fused(pair, targets, replace(objective(name), ce_weight=0.0))
    assert (mx.linalg.norm(gradient, axis=-1) > 1e-3).all().item()


def test_an_equal_teacher_teaches_nothing(pair: Any) -> None:
    same = replace(pair.targets, hidden=pair.hidden, head=pair.head)
    targets = top_k_targets(same, pair.labels, 5, 2.0)
    value, gradient, _ = fused(pair, targets, replace(objective("reverse_kl"), ce_weight=0.0))
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert mx.abs(gradient).max().item() < 1e-5


def test_the_sampled_form_is_exact_against_top_k_targets(pair: Any) -> None:
    wanted = objective("sampled_reverse_kl", 1.0)
    value, gradient, _ = fused(pair, top_k_targets(pair.targets, pair.labels, 2, 1.0), wanted)
    expected, expected_gradient, _ = fused(pair, pair.targets, wanted)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert mx.allclose(gradient, expected_gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", EXACT)
def test_a_student_certain_of_the_set_has_a_finite_loss_and_gradient(name: Divergence) -> None:
    # The student's tail is 200 nats below: exp(-200) is 0 in float32, its logprob is not.
    student = soften(mx.array([[0.0, -200.0, -201.0]]), 1.0)
    targets = TopKTargets(
        ids=mx.array([[0]]),
        logprobs=mx.array([[math.log(0.5)]]),
        tail_logprob=mx.array([math.log(0.5)]),
        top_id=mx.array([0]),
        label_logprob=mx.array([0.0]),
        temperature=1.0,
    )
    value, gradient = bucketed_divergence(student, targets, objective(name, 1.0))
    exact, _ = divergence(
        student,
        soften(mx.log(mx.array([[0.5, 0.5 * 0.731059, 0.5 * 0.268941]])), 1.0),
        objective(name, 1.0),
    )
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)
    assert mx.isfinite(gradient).all().item()
    assert gradient.sum().item() == pytest.approx(0, abs=1e-6)
