import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

from OnPolicyDistill.exponentials import exponential, gated, is_slow
from OnPolicyDistill.models.activations import quick_swiglu, quicken_gates
from OnPolicyDistill.models.loading import load_policy

only_where_slow = pytest.mark.skipif(not is_slow(), reason="MLX's own are quick here")


def test_exponentials_are_right_to_a_few_units_of_the_last_place() -> None:
    x = np.linspace(-87, 88, 20_001, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    assert np.abs(np.array(exponential(mx.array(x))) / exact - 1).max() < 4e-7


def test_what_lies_outside_becomes_nothing_infinite_or_stays_no_number() -> None:
    x = mx.array([-mx.inf, -1e30, -120.0, 0.0, 100.0, mx.inf, mx.nan])
    assert np.array_equal(
        np.array(exponential(x)),
        np.array([0, 0, 0, 1, np.inf, np.inf, np.nan], np.float32),
        equal_nan=True,
    )


def test_exponentials_of_one_shape_do_not_take_that_of_another() -> None:
    for shape in ((1, 40), (1, 3), (5, 2, 7), (1,)):
        assert exponential(mx.zeros(shape)).shape == shape
        slopes = mx.grad(lambda a, b: gated(a, b).sum(), (0, 1))(mx.zeros(shape), mx.ones(shape))
        assert [slope.shape for slope in slopes] == [shape, shape]


def test_an_exponential_is_its_own_slope() -> None:
    x = mx.array([-3.0, 0.0, 2.0])
    slope = mx.grad(lambda values: (exponential(values) * mx.array([1.0, 2.0, 3.0])).sum())(x)
    assert mx.allclose(slope, mx.exp(x) * mx.array([1.0, 2.0, 3.0]), rtol=1e-6)


@only_where_slow
def test_a_gate_is_silu_times_values_with_the_slopes_of_both() -> None:
    mx.random.seed(0)
    gate, values, weights = (4 * mx.random.normal((7, 33)) for _ in range(3))

    def plain(a: mx.array, b: mx.array) -> mx.array:
        return (nn.silu(a) * b * weights).sum()

    def quick(a: mx.array, b: mx.array) -> mx.array:
        return (gated(a, b) * weights).sum()

    assert mx.allclose(gated(gate, values), nn.silu(gate) * values, rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(
        mx.grad(quick, (0, 1))(gate, values), mx.grad(plain, (0, 1))(gate, values), strict=True
    ):
        assert mx.allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_gates_of_sixteen_bits_are_mlx_lms_own() -> None:
    gate = mx.random.normal((3, 5)).astype(mx.bfloat16)
    assert mx.array_equal(quick_swiglu(gate, gate), nn.silu(gate) * gate)


@only_where_slow
def test_a_loaded_model_says_the_same_with_quick_gates() -> None:
    policy = load_policy("tiny-student", mixed_precision=False)
    tokens = mx.arange(40)[None]
    quick = policy.model(tokens)
    family = vars(__import__(type(policy.model).__module__, fromlist=["swiglu"]))
    assert family["swiglu"] is quick_swiglu
    family["swiglu"] = __import__("mlx_lm.models.activations", fromlist=["swiglu"]).swiglu
    plain = policy.model(tokens)
    quicken_gates(policy.model)
    assert family["swiglu"] is quick_swiglu
    # Logits of some units; rounding of three layers.
    assert mx.abs(quick - plain).max().item() < 1e-4
