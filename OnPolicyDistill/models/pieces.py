"""A long forward pass in pieces, so that a stop is seen while it runs.

MLX records a whole pass and computes it at once when its result is needed. A dense 32B teacher that
reads four rows of 600 tokens is busy for about ten seconds then, and hears nothing. Passes without
a gradient are therefore computed after every few layers, as many as are worth a fraction of a
second, with a look for a stop between them. Passes shorter than that are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from OnPolicyDistill.lanes import in_lanes, num_lanes, one_thread_a_product
from OnPolicyDistill.models.kv_cache import Rows
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.stopping import check_stop

# Floating-point operations between two looks: 0.1 s on an M4 Max, below a second on any M.
OPERATIONS_PER_PIECE = 1e12
# Operations of a layer over one token of every row. The demonstration's 6.5 million were measured;
# at the 26 million of the race's larger shape one thread and two were not compared.
SMALL_LAYER = 1e7
# Two for each weight of four bits; weights of more bits are counted as if they were more.
OPERATIONS_PER_BYTE = 4


def read_hidden_states(model: nn.Module, tokens: mx.array, cache: Rows | None = None) -> mx.array:
    """The same as `hidden_states`, stoppable and without a gradient: (B, T) -> (B, T, D).

    Rows of a short pass are read side by side where the device has lanes for them (lanes.py).

    Raises:
        StoppedError: a stop was asked for in the middle.
        ModelError: the architecture is not laid out as body and head.
    """
    lanes = num_lanes(tokens.shape[0])
    is_plain = cache is None and not isinstance(model, SeeingModel)
    if is_plain and lanes > 1 and is_short(model, tokens.size):
        with one_thread_a_product(lanes):
            parts = in_lanes(tokens.shape[0], lambda rows: hidden_states(model, tokens[rows]))
            mx.eval(parts)
        return mx.concatenate(parts)
    with in_pieces(model, tokens.size):
        return hidden_states(model, tokens, cache)


def is_short(model: nn.Module, num_tokens: int) -> bool:
    """Whether a pass over so many tokens, of any rows, needs no look for a stop inside it."""
    return not _is_long(_works(model, num_tokens))


@contextmanager
def one_thread_if_small(model: nn.Module, num_rows: int) -> Iterator[None]:
    """Keep the products of decode steps of so many rows to one thread where they are small.

    OpenBLAS shares them among its threads nevertheless, whose waiting for each other costs more
    than it gains: more so when something else is at work on the machine (docs/performance.md).
    """
    of_layer = 2 * num_rows * max(_num_weights(layer) for layer in model.layers)
    on_cpu = mx.default_device().type == mx.DeviceType.cpu
    with one_thread_a_product(2 if on_cpu and of_layer < SMALL_LAYER else 1):
        try:
            yield
        finally:
            mx.synchronize()


@contextmanager
def in_pieces(model: nn.Module, num_tokens: int) -> Iterator[None]:
    """Compute passes of the block over so many tokens, of any rows, after every few layers."""
    layers: list[nn.Module] = list(model.layers)
    works = _works(model, num_tokens)
    if not _is_long(works):
        yield
        return
    own = [type(layer) for layer in layers]
    done = 0.0
    for layer, plain, work in zip(layers, own, works, strict=True):
        done += work
        if done >= OPERATIONS_PER_PIECE:
            done = 0.0
            layer.__class__ = _computing(plain)
    try:
        yield
    finally:
        for layer, plain in zip(layers, own, strict=True):
            layer.__class__ = plain


def _computing(plain: type[nn.Module]) -> type[nn.Module]:
    """The layer's class, whose output is computed before the next layer begins."""

    def call(self: nn.Module, *inputs: object, **named: object) -> object:
        check_stop()
        output = plain.__call__(self, *inputs, **named)
        leaves: list[tuple[str, object]] = tree_flatten(output)  # type: ignore[assignment]
        mx.eval([leaf for _, leaf in leaves if isinstance(leaf, mx.array)])
        check_stop()
        return output

    return type(plain.__name__, (plain,), {"__call__": call})


def _works(model: nn.Module, num_tokens: int) -> list[float]:
    """Operations of each layer over so many tokens."""
    return [OPERATIONS_PER_BYTE * num_tokens * _num_bytes(layer) for layer in model.layers]


def _is_long(works: list[float]) -> bool:
    return sum(works) >= OPERATIONS_PER_PIECE


def _num_weights(layer: nn.Module) -> int:
    return sum(array.size for array in flat_arrays(layer.parameters()).values())


def _num_bytes(layer: nn.Module) -> int:
    return sum(array.nbytes for array in flat_arrays(layer.parameters()).values())
