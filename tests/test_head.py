from dataclasses import replace

import mlx.core as mx
import numpy as np
import pytest

from benchmarks.exact import as_float64, behind_the_head, weights_of
from OnPolicyDistill import head as head_module
from OnPolicyDistill.head import Quantization, VocabularyHead
from OnPolicyDistill.vocabulary import log_partition

V, P, D = 500, 512, 64


def weight(scale: float = 1.0) -> mx.array:
    return mx.random.normal((P, D), scale=scale, key=mx.random.key(0)).astype(mx.bfloat16)


def packed_head(mode: str, group_size: int) -> VocabularyHead:
    packed, scales, *biases = mx.quantize(weight(), group_size=group_size, bits=4, mode=mode)
    quantization = Quantization(scales, biases[0] if biases else None, group_size, 4, mode)
    return VocabularyHead(packed, V, quantization=quantization)


@pytest.fixture
def states() -> mx.array:
    return mx.random.normal((5, D), key=mx.random.key(1)).astype(mx.bfloat16)


@pytest.fixture
def in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of 64 tokens: eight of them, the last one cut."""
    monkeypatch.setattr(head_module, "SLICE_BYTES", 64 * 4 * D)


@pytest.mark.usefixtures("in_slices")
def test_logits_of_a_bfloat16_head_are_not_rounded_to_bfloat16(states: mx.array) -> None:
    bias = mx.arange(P).astype(mx.bfloat16) / 64
    head = VocabularyHead(weight(), V, bias=bias)
    expected = as_float64(states) @ weights_of(head).T + as_float64(bias)[:V]
    logits = head.logits(states)
    assert (logits.shape, logits.dtype) == ((5, V), mx.float32)
    # Sums of 64 products of about 1, up to 30.
    assert np.abs(as_float64(logits) - expected).max() < 2e-5
    assert np.abs(as_float64(head.plain_logits(states)) - expected).max() > 1e-2


@pytest.mark.parametrize(("mode", "group_size"), [("affine", 64), ("mxfp4", 32)])
def test_logits_and_gradients_of_packed_heads_are_not_rounded(
    states: mx.array, mode: str, group_size: int
) -> None:
    head = packed_head(mode, group_size)
    packed = head.quantization
    assert packed is not None
    exact = (
        weights_of(head)
        if mode == "affine"
        else as_float64(
            mx.dequantize(head.weight[:V], packed.scales[:V], group_size=32, bits=4, mode=mode)
        )
    )
    upstream = mx.random.normal((5, V), key=mx.random.key(2))
    assert np.abs(as_float64(head.logits(states)) - as_float64(states) @ exact.T).max() < 2e-5
    gradient = head.hidden_gradient(upstream, head.logits(states))
    assert gradient.dtype == mx.float32
    assert np.abs(as_float64(gradient) - as_float64(upstream) @ exact).max() < 1e-4


@pytest.mark.usefixtures("in_slices")
def test_a_gradient_pulled_through_slices_is_that_of_the_whole_head(states: mx.array) -> None:
    head = VocabularyHead(weight(), V)
    upstream = mx.random.normal((5, V), key=mx.random.key(2))
    expected = as_float64(upstream) @ weights_of(head)
    gradient = head.hidden_gradient(upstream, head.logits(states))
    assert np.abs(as_float64(gradient) - expected).max() < 1e-4


@pytest.mark.parametrize("is_backward", [False, True])
def test_a_bfloat16_head_is_never_whole_in_float32(
    monkeypatch: pytest.MonkeyPatch, is_backward: bool
) -> None:
    rows, width = 16_384, 256
    monkeypatch.setattr(head_module, "SLICE_BYTES", 4 * width * 128)
    head = VocabularyHead(mx.ones((rows, width), dtype=mx.bfloat16), rows)
    given = mx.ones((2, rows if is_backward else width))
    logits = mx.zeros((2, rows))
    mx.eval(head.weight, given, logits)
    mx.reset_peak_memory()
    held = mx.get_active_memory()
    mx.eval(head.hidden_gradient(given, logits) if is_backward else head.logits(given))
    whole = 4 * rows * width
    assert mx.get_peak_memory() - held < whole / 4


def test_logits_for_sampling_are_exact_where_mass_is(states: mx.array) -> None:
    size = 4 * head_module.EXACT_TOKENS
    wide = mx.random.normal((size, D), scale=2.0, key=mx.random.key(4)).astype(mx.bfloat16)
    head = VocabularyHead(wide, size, bias=mx.ones((size,), dtype=mx.bfloat16))
    exact, rounded = head.logits(states), head.plain_logits(states)
    sampled = head.sampling_logits(states)
    best = mx.argsort(-exact, axis=-1)[:, :100]
    found = mx.take_along_axis(sampled, best, axis=-1)
    assert mx.allclose(found, mx.take_along_axis(exact, best, axis=-1), atol=1e-4)
    assert not mx.allclose(found, mx.take_along_axis(rounded, best, axis=-1), atol=1e-2)
    apart = [
        mx.abs(log_partition(z) - log_partition(exact)).max().item() for z in (sampled, rounded)
    ]
    assert apart[0] < 1e-4 < apart[1]


def test_packed_and_short_heads_give_exact_logits_for_sampling(states: mx.array) -> None:
    packed = packed_head("affine", 64)
    assert mx.array_equal(packed.sampling_logits(states), packed.logits(states))
    short = VocabularyHead(weight()[:100], 100)
    assert mx.allclose(short.sampling_logits(states), short.logits(states), atol=1e-4)


# What families do to logits: Cohere, Granite and Falcon-H1; Gemma; Muse.
BEHIND = [(0.0625, None), (1.0, 5.0), (0.2, 3.0)]


@pytest.mark.usefixtures("in_slices")
@pytest.mark.parametrize("packing", ["float32", "bfloat16", "packed"])
@pytest.mark.parametrize(("scale", "cap"), BEHIND)
def test_scaled_and_capped_logits_and_their_gradients_are_those_of_float64(
    states: mx.array, packing: str, scale: float, cap: float | None
) -> None:
    plain = {
        "float32": VocabularyHead(weight().astype(mx.float32), V),
        "bfloat16": VocabularyHead(weight(), V),
        "packed": packed_head("affine", 64),
    }[packing]
    head = replace(plain, scale=scale, cap=cap)
    weights = weights_of(head)
    expected, bend = behind_the_head(as_float64(states) @ weights.T, head)
    upstream = mx.random.normal((5, V), key=mx.random.key(2))
    logits = head.logits(states)
    assert np.abs(as_float64(logits) - expected).max() < 2e-5
    gradient = as_float64(head.hidden_gradient(upstream, logits))
    exact = (as_float64(upstream) * bend) @ weights
    # Sums of 500 products; a cap's slope is read off a float32 tanh near 1.
    assert np.abs(gradient - exact).max() < 1e-5 * np.abs(exact).max()


def test_a_cap_keeps_every_logit_within_it_and_leaves_small_ones_alone() -> None:
    head = VocabularyHead(mx.array([[100.0], [-100.0], [0.01]]), 3, cap=30.0)
    logits = head.logits(mx.ones((1, 1)))
    # 30 tanh(100 / 30) = 29.9237
    assert logits[0].tolist() == pytest.approx([29.9237, -29.9237, 0.01], abs=1e-4)


@pytest.mark.parametrize(("scale", "cap"), BEHIND)
def test_what_is_drawn_from_and_what_autodiff_sees_are_scaled_and_capped_alike(
    scale: float, cap: float | None
) -> None:
    size = 4 * head_module.EXACT_TOKENS
    wide = mx.random.normal((size, D), scale=2.0, key=mx.random.key(4)).astype(mx.bfloat16)
    head = VocabularyHead(wide, size, bias=mx.ones((size,), dtype=mx.bfloat16), cap=cap)
    head = replace(head, scale=scale)
    hidden = mx.random.normal((5, D), key=mx.random.key(1)).astype(mx.bfloat16)
    exact = head.logits(hidden)
    best = mx.argsort(-exact, axis=-1)[:, :100]
    for logits, off in ((head.sampling_logits(hidden), 1e-4), (head.plain_logits(hidden), 0.2)):
        found, wanted = (mx.take_along_axis(each, best, axis=-1) for each in (logits, exact))
        assert mx.allclose(found, wanted, atol=off)
