"""Families that scale or cap their logits: every fused loss has their exact derivative."""

from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from benchmarks.exact import as_float64, behind_the_head, exact_loss, log_softmax64, weights_of
from OnPolicyDistill.divergences import DIVERGENCES, Divergence
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.losses.cross_entropy import cross_entropy, label_logprobs
from OnPolicyDistill.losses.distillation import TokenStats, distillation_loss
from OnPolicyDistill.losses.grpo import GradedTokens, PolicyObjective, policy_gradient_loss
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.targets import HiddenTargets, top_k_targets
from tests.losses.conftest import Pair

# The student's scale and cap, then the teacher's: one family, and two of different habits.
BEHIND = [((0.25, None), (0.25, None)), ((1.0, 2.0), (1.0, 3.0)), ((0.5, 2.0), (1.0, None))]


@pytest.fixture(params=BEHIND)
def bent(request: pytest.FixtureRequest, pair: Pair) -> Pair:
    """The pair, its logits scaled and capped well within their size (about 4)."""
    (scale, cap), (teacher_scale, teacher_cap) = request.param
    teacher = replace(pair.targets.head, scale=teacher_scale, cap=teacher_cap)
    head = replace(pair.head, bias=None, scale=scale, cap=cap)
    return replace(pair, head=head, targets=HiddenTargets(pair.targets.hidden, teacher))


def objective(divergence: Divergence, kl_weight: float, ce_weight: float) -> Objective:
    return Objective(
        divergence=divergence,
        temperature=1.0,
        kl_weight=kl_weight,
        ce_weight=ce_weight,
        teacher_weight=0.3,
        chunk_size=3,
    )


def logprobs64(pair: Any, hidden: np.ndarray) -> np.ndarray:
    logits, _ = behind_the_head(hidden @ weights_of(pair.head).T, pair.head)
    rows = np.arange(len(hidden))
    chosen: np.ndarray = log_softmax64(logits)[rows, np.array(pair.labels)]
    return chosen


def central_differences(loss: Any, hidden: np.ndarray) -> np.ndarray:
    gradient = np.zeros_like(hidden)
    for place in np.ndindex(*hidden.shape):
        step = np.zeros_like(hidden)
        step[place] = 1e-6
        gradient[place] = (loss(hidden + step) - loss(hidden - step)) / 2e-6
    return gradient


def apart(found: mx.array, expected: np.ndarray) -> float:
    return float(np.linalg.norm(as_float64(found) - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_divergence_between_bent_logits_and_its_gradient_are_those_of_float64(
    bent: Pair, divergence: Divergence
) -> None:
    wanted = objective(divergence, 0.8, 0.2)
    exact = exact_loss(bent.hidden, bent.head, bent.targets, bent.labels, wanted)

    def loss(hidden: mx.array) -> tuple[mx.array, TokenStats]:
        return distillation_loss(hidden, bent.head, bent.targets, bent.labels, 1.0, wanted)

    (value, stats), gradient = mx.value_and_grad(loss)(bent.hidden)
    assert value.item() == pytest.approx(exact.losses.sum(), rel=1e-5)
    assert np.abs(as_float64(stats.divergence) - exact.divergences).max() < 1e-5
    assert apart(gradient, exact.gradient) < 1e-5


def test_top_k_targets_of_a_bent_teacher_over_the_whole_vocabulary_are_exact(bent: Pair) -> None:
    wanted = objective("reverse_kl", 1.0, 0.0)
    whole = top_k_targets(bent.targets, bent.labels, bent.head.vocab_size, 1.0)
    exact = exact_loss(bent.hidden, bent.head, bent.targets, bent.labels, wanted)

    def loss(hidden: mx.array) -> mx.array:
        return distillation_loss(hidden, bent.head, whole, bent.labels, 1.0, wanted)[0]

    assert apart(mx.grad(loss)(bent.hidden), exact.gradient) < 1e-5


def test_fine_tunings_gradient_through_bent_logits_equals_finite_differences(bent: Pair) -> None:
    hidden = as_float64(bent.hidden)

    def loss(states: mx.array) -> mx.array:
        ones = mx.ones((len(hidden),))
        return cross_entropy(states, bent.head, bent.labels, ones, 1.0, chunk_size=3)[0]

    expected = central_differences(lambda states: -logprobs64(bent, states).sum(), hidden)
    assert apart(mx.grad(loss)(bent.hidden), expected) < 1e-5


def test_grpos_gradient_through_bent_logits_equals_finite_differences(bent: Pair) -> None:
    hidden, advantages = as_float64(bent.hidden), [1.0, -0.5]
    policy = PolicyObjective(beta=0.0, temperature=1.0, chunk_size=3)
    tokens = GradedTokens(bent.labels, [3, 4], advantages, [1 / 7, 1 / 7])
    weights = np.repeat(np.array(advantages) / 7, [3, 4])

    def loss(states: mx.array) -> mx.array:
        return policy_gradient_loss(states, bent.head, tokens, policy)[0]

    # At the policy that sampled, a ratio's slope in its logprob is 1.
    expected = central_differences(lambda states: -weights @ logprobs64(bent, states), hidden)
    assert apart(mx.grad(loss)(bent.hidden), expected) < 1e-5


def test_scored_and_compared_logprobs_are_those_of_bent_logits(bent: Pair) -> None:
    expected = logprobs64(bent, as_float64(bent.hidden))
    scored = label_logprobs(bent.hidden, bent.head, bent.labels)
    compared = compare_distributions(bent.hidden, bent.head, bent.targets, bent.labels)
    for found in (scored, compared.student_logprob):
        assert np.abs(as_float64(found) - expected).max() < 1e-5


def test_a_bent_teacher_equal_to_the_student_teaches_nothing(bent: Pair) -> None:
    wanted = objective("reverse_kl", 1.0, 0.0)
    targets = HiddenTargets(bent.hidden, bent.head)

    def loss(hidden: mx.array) -> mx.array:
        return distillation_loss(hidden, bent.head, targets, bent.labels, 1.0, wanted)[0]

    assert mx.abs(mx.grad(loss)(bent.hidden)).max().item() == 0
