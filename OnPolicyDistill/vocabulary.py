"""Sums over a vocabulary that keep float32's precision, for whatever sums over one.

MLX's CPU build adds a row's numbers one after the other: over 151,936 tokens a partition sum is
off by up to 3e-4 of itself, and with it every logprob. Here a row is laid out as a square, its
columns are summed and then their sums: each number goes through about 2 sqrt(V) additions
instead of V, and the columns are summed side by side, about ten times as fast (docs/methods.md).

Letters: V vocabulary; `...` any number of leading dimensions.
"""

from __future__ import annotations

import math

import mlx.core as mx

from OnPolicyDistill.exponentials import exponential


def vocabulary_sum(values: mx.array) -> mx.array:
    """Sum float32 values (..., V) over the vocabulary, (..., 1)."""
    *rows, V = values.shape
    side = math.isqrt(V)
    square = V // side * side
    total = values[..., :square].reshape(*rows, V // side, side).sum(axis=-2).sum(axis=-1)
    if square < V:
        total = total + values[..., square:].sum(axis=-1)
    return total[..., None]


def log_partition(logits: mx.array) -> mx.array:
    """Log of the sum of exp(logits), (..., V) -> (..., 1); logprobs are logits minus it.

    A logit of -inf adds nothing; a row of them alone has no partition sum, and gives nan.
    """
    peak = mx.stop_gradient(logits.max(axis=-1, keepdims=True))
    return peak + mx.log(vocabulary_sum(exponential(logits - peak)))


def running_sum_before(values: mx.array) -> mx.array:
    """Sum of all values before each one, (..., V), added up block by block."""
    *rows, V = values.shape
    side = math.isqrt(V - 1) + 1
    padding = [(0, 0)] * len(rows) + [(0, side * side - V)]
    blocks = mx.pad(values, padding).reshape(*rows, side, side)
    inside = mx.cumsum(blocks, axis=-1, inclusive=False)
    before = mx.cumsum(blocks.sum(axis=-1), axis=-1, inclusive=False)
    return (inside + before[..., None]).reshape(*rows, side * side)[..., :V]
