"""A long pass is computed in pieces, to the same bits, and stops between them."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

from OnPolicyDistill.adapters.checkpointing import checkpoint_layers
from OnPolicyDistill.arrays import openblas_loaded, set_blas_threads
from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.models import pieces
from OnPolicyDistill.models.kv_cache import RowCache
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.models.pieces import one_thread_if_small, read_hidden_states
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.stopping import stoppable

TINY_TEACHER = Path(__file__).parents[2] / "data" / "models" / "tiny-teacher"
TOKENS = mx.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 10]])


class Asked:
    """Counts the looks for a stop; says so at the one that is named."""

    def __init__(self, stop_at: int = 0) -> None:
        self.times = 0
        self.stop_at = stop_at

    def __call__(self) -> bool:
        self.times += 1
        return self.times == self.stop_at


def work_of(model: object) -> float:
    layers = model.layers  # type: ignore[attr-defined]
    return float(pieces.OPERATIONS_PER_BYTE * TOKENS.size * pieces._num_bytes(layers[0]))


@pytest.mark.parametrize(("layers_a_piece", "looks"), [(1, 8), (2, 4)])
def test_a_pass_is_computed_every_few_layers_to_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, layers_a_piece: int, looks: int
) -> None:
    model = load_policy(str(TINY_TEACHER)).model
    assert len(model.layers) == 4
    expected = hidden_states(model, TOKENS)
    monkeypatch.setattr(pieces, "OPERATIONS_PER_PIECE", layers_a_piece * work_of(model))
    asked = Asked()
    with stoppable(asked):
        found = read_hidden_states(model, TOKENS)
    assert asked.times == looks
    assert mx.array_equal(found, expected)


def test_rows_of_a_short_pass_are_those_of_a_whole_one_wherever_they_are_computed() -> None:
    model = load_policy(str(TINY_TEACHER)).model
    tokens = mx.arange(35).reshape(7, 5)
    found = read_hidden_states(model, tokens)
    # On a CPU half of the rows are multiplied apart, whose products round otherwise.
    assert mx.allclose(found, hidden_states(model, tokens), rtol=1e-5, atol=1e-5)


def test_a_stop_in_the_middle_leaves_the_model_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_policy(str(TINY_TEACHER)).model
    checkpoint_layers(model)
    kinds = [type(layer) for layer in model.layers]
    expected = hidden_states(model, TOKENS)
    monkeypatch.setattr(pieces, "OPERATIONS_PER_PIECE", work_of(model))
    with stoppable(Asked(stop_at=3)), pytest.raises(StoppedError):
        read_hidden_states(model, TOKENS)
    assert [type(layer) for layer in model.layers] == kinds
    assert mx.array_equal(read_hidden_states(model, TOKENS), expected)


def test_keys_and_values_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load_policy(str(TINY_TEACHER)).model
    plain, cut = (RowCache.empty(model, num_rows=2) for _ in range(2))
    expected = hidden_states(model, TOKENS, plain)
    monkeypatch.setattr(pieces, "OPERATIONS_PER_PIECE", work_of(model))
    assert mx.array_equal(read_hidden_states(model, TOKENS, cut), expected)
    for ours, theirs in zip(cut.state, plain.state, strict=True):
        assert mx.array_equal(mx.array(ours), mx.array(theirs))


def test_a_dense_teacher_of_32b_is_looked_at_after_every_layer_and_a_tiny_one_never() -> None:
    # Qwen2.5-32B has 0.49 G weights a layer; four rows of 600 tokens.
    assert pieces.OPERATIONS_PER_BYTE * 2400 * 0.49e9 * 0.5 > pieces.OPERATIONS_PER_PIECE
    model = load_policy(str(TINY_TEACHER)).model
    asked = Asked()
    with stoppable(asked):
        read_hidden_states(model, TOKENS)
    assert asked.times == 0


@pytest.mark.skipif(not openblas_loaded, reason="there are no threads of OpenBLAS here")
def test_small_products_keep_to_one_thread_also_when_sampling_ends_in_an_error() -> None:
    model = load_policy(str(TINY_TEACHER)).model
    own = set_blas_threads(2)
    try:
        for rows, threads in ((8, 1), (1000, 2)):
            with one_thread_if_small(model, rows):
                assert set_blas_threads(threads) == threads
            assert set_blas_threads(2) == 2
        with pytest.raises(StoppedError), one_thread_if_small(model, 8):
            raise StoppedError("stopped")
        assert set_blas_threads(2) == 2
    finally:
        set_blas_threads(own)
