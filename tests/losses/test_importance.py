"""Weights of rollouts that are used again, by hand and against float64."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from benchmarks.exact import exact_loss
from OnPolicyDistill.divergences import DIVERGENCES, FACTS, Divergence
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.distillation import distillation_loss, reused_distillation_loss
from OnPolicyDistill.losses.importance import WEIGHT_LIMIT, ReusedTokens, importance_weights
from OnPolicyDistill.losses.objective import Objective

Pair = Any
LENGTHS = (4, 1, 2)
RATIOS = np.array([1.5, 1.2, 1.25, 0.1, 0.5, 0.5, 3.0])
NORMALIZER = 5.0


def reused_of(logprobs: mx.array, labels: mx.array) -> ReusedTokens:
    """Tokens that have become RATIOS times as probable as when they were sampled."""
    return ReusedTokens(labels, logprobs - mx.array(np.log(RATIOS).astype(np.float32)), LENGTHS)


def test_a_position_is_weighted_by_how_much_likelier_it_is_to_come_there() -> None:
    logprobs = mx.array([-1.0, -2.0, -0.5, -3.0, -1.0, -0.2, -1.0])
    reused = reused_of(logprobs, mx.zeros(7, mx.int32))
    # 1.5 * 1.2 * 1.25 = 2.25 is held at 2.
    before = importance_weights(logprobs, reused, with_own=False)
    assert before.tolist() == pytest.approx([1, 1.5, 1.8, 2, 1, 1, 0.5], rel=1e-5)
    after = importance_weights(logprobs, reused, with_own=True)
    assert after.tolist() == pytest.approx([1.5, 1.8, 2, 0.225, 0.5, 0.5, 1.5], rel=1e-5)


def test_a_ratio_beyond_all_numbers_is_held_too() -> None:
    labels = mx.zeros(3, mx.int32)
    far = ReusedTokens(labels, mx.array([-200.0, 0.0, 0.0]), [3])
    weights = importance_weights(mx.array([0.0, -300.0, 0.0]), far, with_own=False)
    assert weights.tolist() == pytest.approx([1, WEIGHT_LIMIT, 0])


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_gradient_of_reused_rollouts_equals_float64(pair: Pair, divergence: Divergence) -> None:
    objective = Objective(
        divergence=divergence,
        temperature=1.0,
        kl_weight=0.8,
        ce_weight=0.2,
        teacher_weight=0.3,
        chunk_size=3,
    )
    head = VocabularyHead(pair.head.weight, pair.head.vocab_size)  # the reference knows no bias
    _, stats = distillation_loss(
        pair.hidden, head, pair.targets, pair.labels, NORMALIZER, objective
    )
    reused = reused_of(stats.student_logprob, pair.labels)

    def loss(hidden: mx.array) -> tuple[mx.array, mx.array]:
        value, _, weights = reused_distillation_loss(
            hidden, head, pair.targets, reused, NORMALIZER, objective
        )
        return value, weights

    (value, weights), gradient = mx.value_and_grad(loss)(pair.hidden)
    exact = exact_loss(pair.hidden, head, pair.targets, pair.labels, objective)
    expected = weights64(FACTS[divergence].is_sampled)
    assert weights.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert value.item() == pytest.approx((expected * exact.losses).sum() / NORMALIZER, rel=1e-5)
    wanted = expected[:, None] * exact.gradient / NORMALIZER
    error = np.linalg.norm(np.array(gradient) - wanted) / np.linalg.norm(wanted)
    assert error < 1e-5


def weights64(with_own: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    found, start = [], 0
    for length in LENGTHS:
        product = 1.0
        for ratio in RATIOS[start : start + length]:
            here = product * ratio if with_own else product
            found.append(min(here, WEIGHT_LIMIT))
            product *= ratio
        start += length
    return np.array(found)


def test_an_unchanged_student_learns_from_a_second_use_what_it_learned_from_the_first(
    pair: Pair,
) -> None:
    objective = Objective(
        divergence="reverse_kl", temperature=2.0, kl_weight=1, ce_weight=0, teacher_weight=0.5
    )
    first, stats = distillation_loss(
        pair.hidden, pair.head, pair.targets, pair.labels, NORMALIZER, objective
    )
    reused = ReusedTokens(pair.labels, stats.student_logprob, LENGTHS)
    second, _, weights = reused_distillation_loss(
        pair.hidden, pair.head, pair.targets, reused, NORMALIZER, objective
    )
    assert weights.tolist() == [1.0] * 7
    assert second.item() == first.item()
