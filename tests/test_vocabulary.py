import mlx.core as mx
import numpy as np
import pytest

from OnPolicyDistill.vocabulary import log_partition, running_sum_before, vocabulary_sum

FULL = 151_936
# About 2 sqrt(V) additions of half a unit in the last place each, in no fixed direction.
RELATIVE = 3e-6


def logits_of(V: int, rows: int = 6) -> mx.array:
    return mx.random.normal((rows, V), scale=3.0, key=mx.random.key(V))


def float64(values: mx.array) -> np.ndarray:
    return np.array(values).astype(np.float64)


@pytest.mark.parametrize("V", [1, 2, 3, 5, 280, 1000, 32_000, 151_643, FULL])
def test_sums_over_any_vocabulary_are_those_of_float64(V: int) -> None:
    weights = mx.exp(logits_of(V))
    expected = float64(weights).sum(axis=-1, keepdims=True)
    assert np.abs(float64(vocabulary_sum(weights)) / expected - 1).max() < RELATIVE


def test_leading_dimensions_stay() -> None:
    values = logits_of(1000).reshape(2, 3, 1000)
    assert vocabulary_sum(values).shape == (2, 3, 1)
    assert np.abs(float64(vocabulary_sum(values)) - float64(values).sum(-1)[..., None]).max() < 1e-3


def test_the_log_partition_of_a_full_vocabulary_is_that_of_float64() -> None:
    logits = logits_of(FULL) + 30
    expected = np.log(np.exp(float64(logits)).sum(axis=-1, keepdims=True))
    # Values near 48, whose spacing in float32 is 4e-6.
    assert np.abs(float64(log_partition(logits)) - expected).max() < 1e-5


def test_logits_of_minus_infinity_add_nothing() -> None:
    logits = mx.array([[0.0, -mx.inf, 0.0, -mx.inf]])
    assert log_partition(logits).item() == pytest.approx(np.log(2))


def test_the_gradient_of_a_log_partition_is_the_softmax() -> None:
    logits = logits_of(FULL, rows=2)
    gradient = float64(mx.grad(lambda z: log_partition(z).sum())(logits))
    exponentials = np.exp(float64(logits))
    expected = exponentials / exponentials.sum(axis=-1, keepdims=True)
    assert np.linalg.norm(gradient - expected) < 3e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize("V", [1, 2, 5, 280, FULL])
def test_running_sums_leave_their_own_value_out_and_are_those_of_float64(V: int) -> None:
    weights = mx.exp(logits_of(V, rows=3))
    exact = np.cumsum(float64(weights), axis=-1)
    expected = exact - float64(weights)
    found = float64(running_sum_before(weights))
    assert found.shape == weights.shape
    assert np.abs(found - expected).max() < 3e-6 * exact.max()
