"""Recurrences that learn: mlx-lm's numbers, with a gradient, also where Metal has kernels."""

from collections.abc import Callable, Iterator

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx_lm.models import gated_delta, rwkv7

from OnPolicyDistill.adapters.checkpointing import checkpoint_layers
from OnPolicyDistill.models import recurrences
from OnPolicyDistill.models.layout import body_states
from OnPolicyDistill.models.recurrences import (
    PIECE_TOKENS,
    gated_delta_rule,
    give_recurrences_gradients,
)
from tests.architectures.tiny import VOCAB_SIZE, tiny_model

PIECES = 2 * PIECE_TOKENS + 5
Rule = Callable[..., tuple[mx.array, mx.array]]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Leave mlx-lm as it was found."""
    own = gated_delta.gated_delta_ops, rwkv7.Rwkv7TimeMixing._wkv7
    yield
    gated_delta.gated_delta_ops, rwkv7.Rwkv7TimeMixing._wkv7 = own


def inputs(num_tokens: int, is_vector: bool) -> tuple[mx.array, ...]:
    """q, k, v, g, beta and a state of 2 rows, 2 key and 4 value heads of 8."""
    keys = mx.random.split(mx.random.key(0), 6)
    q, k = (mx.random.normal((2, num_tokens, 2, 8), key=key) * 8**-0.5 for key in keys[:2])
    v = mx.random.normal((2, num_tokens, 4, 8), key=keys[2])
    gates = (2, num_tokens, 4, 8) if is_vector else (2, num_tokens, 4)
    g = mx.random.uniform(0.5, 1.0, gates, key=keys[3])
    beta = mx.random.uniform(0.0, 1.0, (2, num_tokens, 4), key=keys[4])
    return q, k, v, g, beta, mx.random.normal((2, 4, 8, 8), key=keys[5])


@pytest.mark.parametrize("is_vector", [False, True])
@pytest.mark.parametrize("is_masked", [False, True])
def test_rows_cut_into_pieces_give_mlx_lms_numbers_and_gradients(
    is_vector: bool, is_masked: bool
) -> None:
    given = inputs(PIECES, is_vector)
    mask = mx.arange(PIECES)[None] >= mx.array([[0], [40]]) if is_masked else None

    def summed(rule: Rule, *rows: mx.array) -> mx.array:
        y, state = rule(*rows, mask)
        return (y * mx.cos(mx.arange(y.size).reshape(y.shape))).sum() + state.square().sum()

    every = tuple(range(len(given)))
    ours, ours_slopes = mx.value_and_grad(lambda *rows: summed(gated_delta_rule, *rows), every)(
        *given
    )
    plain, slopes = mx.value_and_grad(lambda *rows: summed(recurrences._delta_steps, *rows), every)(
        *given
    )
    assert ours.item() == pytest.approx(plain.item(), rel=1e-6)
    for found, expected in zip(ours_slopes, slopes, strict=True):
        assert mx.allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert mx.abs(expected).max().item() > 1e-3


@pytest.fixture
def on_metal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As mlx-lm finds a Mac: a GPU, and kernels that say that they were called."""

    def kernel(*_inputs: object) -> None:
        raise RuntimeError("a Metal kernel")

    monkeypatch.setattr(mx, "default_device", lambda: mx.gpu)
    monkeypatch.setattr(mx.metal, "is_available", lambda: True)
    monkeypatch.setattr(gated_delta, "gated_delta_kernel", kernel)
    monkeypatch.setattr(rwkv7, "wkv7_kernel", kernel)


@pytest.mark.usefixtures("on_metal")
@pytest.mark.parametrize("architecture", ["qwen3_next", "qwen3_5", "olmo_hybrid", "rwkv7"])
def test_learning_takes_no_kernel_and_answering_does(architecture: str) -> None:
    give_recurrences_gradients()
    model = tiny_model(architecture)
    tokens = mx.arange(12)[None]
    with pytest.raises(RuntimeError, match="a Metal kernel"):
        body_states(model, tokens, None)

    def loss(model: nn.Module) -> mx.array:
        return body_states(model, tokens, None).square().sum()

    model.train()
    value, _ = nn.value_and_grad(model, loss)(model)
    assert mx.isfinite(value).item()


def test_layers_with_recurrences_in_pieces_are_recomputed_to_the_same_gradient() -> None:
    give_recurrences_gradients()
    model = tiny_model("qwen3_next")
    tokens = mx.random.randint(0, VOCAB_SIZE, (2, PIECES), key=mx.random.key(1))
    model.freeze()
    model.layers[0].unfreeze()

    def loss(model: nn.Module) -> mx.array:
        return body_states(model, tokens, None).square().mean()

    model.train()
    _, plain = nn.value_and_grad(model, loss)(model)
    mx.eval(plain)
    checkpoint_layers(model)
    _, again = nn.value_and_grad(model, loss)(model)
    mine, theirs = (dict(nn.utils.tree_flatten(tree)) for tree in (again, plain))
    assert max(mx.abs(array).max().item() for array in theirs.values()) > 1e-4
    for name, array in theirs.items():
        assert mx.allclose(mine[name], array, rtol=1e-4, atol=1e-6), name
