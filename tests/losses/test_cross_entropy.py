import math
from dataclasses import replace
from typing import Any

import mlx.core as mx
import pytest

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.cross_entropy import (
    cross_entropy,
    cross_entropy_from_logits,
    cross_entropy_terms,
    label_logprobs,
)
from OnPolicyDistill.losses.softened import soften
from tests.losses.conftest import NUM_TERMS
from tests.rounding import agree, rounding

# Logits ln 1, ln 2, ln 5: probabilities 1/8, 1/4, 5/8.
LOGITS = mx.log(mx.array([[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]]))


def test_cross_entropy_by_hand() -> None:
    values, gradient = cross_entropy_terms(soften(LOGITS, 1.0), mx.array([2, 0]))
    assert values.tolist() == pytest.approx([math.log(8 / 5), math.log(8)])
    assert gradient[0].tolist() == pytest.approx([0.125, 0.25, -0.375])
    assert gradient[1].tolist() == pytest.approx([-0.875, 0.25, 0.625])


def test_weights_and_the_normalizer_of_the_step_scale_the_sum() -> None:
    # (1 * ln(8/5) + 0.5 * ln 8) / 4 = (0.470004 + 1.039721) / 4
    weights = mx.array([1.0, 0.5])
    loss = cross_entropy_from_logits(LOGITS, mx.array([2, 0]), weights, 4.0)
    assert loss.item() == pytest.approx(0.377431, abs=1e-6)
    head = VocabularyHead(LOGITS[:1].T, 3)
    fused, values = cross_entropy(mx.ones((2, 1)), head, mx.array([2, 0]), weights, 4.0)
    assert fused.item() == pytest.approx(0.377431, abs=1e-6)
    assert values.tolist() == pytest.approx([0.470004, 2.079442], abs=1e-6)


@pytest.mark.parametrize("chunk_size", [None, 1, 3])
def test_the_fused_loss_equals_autodiff_on_whole_logits(pair: Any, chunk_size: int | None) -> None:
    weights = mx.array([1.0, 0.0, 1.0, 1.0, 0.5, 1.0, 1.0])

    def fused(hidden: mx.array) -> mx.array:
        return cross_entropy(hidden, pair.head, pair.labels, weights, 3.0, chunk_size)[0]

    def plain(hidden: mx.array) -> mx.array:
        logits = pair.head.logits(hidden)
        return cross_entropy_from_logits(logits, pair.labels, weights, 3.0)

    value, gradient = mx.value_and_grad(fused)(pair.hidden)
    expected, expected_gradient = mx.value_and_grad(plain)(pair.hidden)
    assert value.item() == pytest.approx(expected.item(), rel=rounding(NUM_TERMS))
    assert agree(gradient, expected_gradient, NUM_TERMS)
    assert mx.abs(gradient[1]).max().item() == 0


def test_gradient_equals_finite_differences(pair: Any) -> None:
    weights = mx.ones((7,))

    def loss(hidden: mx.array) -> mx.array:
        return cross_entropy(hidden, pair.head, pair.labels, weights, 7.0)[0]

    gradient = mx.grad(loss)(pair.hidden)
    step = mx.zeros((7, 8)).at[2, 3].add(1e-2)
    numeric = (loss(pair.hidden + step) - loss(pair.hidden - step)) / 2e-2
    assert gradient[2, 3].item() == pytest.approx(numeric.item(), rel=2e-3)


def test_cross_entropy_from_logits_gives_a_tied_head_its_gradient() -> None:
    weight = mx.random.normal((3, 4), key=mx.random.key(0))

    def loss(weight: mx.array) -> mx.array:
        return cross_entropy_from_logits(weight @ weight.T, mx.array([1, 2, 0]), mx.ones(3), 3.0)

    assert mx.linalg.norm(mx.grad(loss)(weight)).item() > 0.1


def test_label_logprobs_are_those_of_the_real_vocabulary(pair: Any) -> None:
    logits = pair.head.logits(pair.hidden)
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    expected = mx.take_along_axis(logprobs, pair.labels[:, None], axis=-1)[:, 0]
    actual = label_logprobs(pair.hidden, pair.head, pair.labels, chunk_size=2)
    assert agree(actual, expected, NUM_TERMS)
    halved = replace(pair.head, weight=pair.head.weight.astype(mx.bfloat16))
    assert label_logprobs(pair.hidden, halved, pair.labels).dtype == mx.float32
