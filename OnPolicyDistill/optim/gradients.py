"""Gradients of an optimizer step: summed over micro-batches, measured, clipped.

The loss of a micro-batch is already divided by the token count of the whole step, so the sum of
the parts is the gradient of the step; nothing is divided again.
"""

from __future__ import annotations

import mlx.core as mx
from mlx.utils import tree_map

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.models.parameters import flat_arrays

Gradients = dict[str, object]


def add_gradients(total: Gradients, more: Gradients) -> Gradients:
    """Sum two gradient trees of one shape; an empty one is the empty sum.

    The caller evaluates the result before the next micro-batch, or the graphs of all of them
    stay in memory.
    """
    if not total:
        return more
    summed: Gradients = tree_map(lambda left, right: left + right, total, more)
    return summed


def gradient_norm(gradients: Gradients) -> mx.array:
    """Euclidean norm over every leaf together, float32, shape (); 0 where nothing learns."""
    squares = [mx.square(leaf.astype(mx.float32)).sum() for leaf in flat_arrays(gradients).values()]
    return mx.sqrt(mx.stack(squares).sum()) if squares else mx.array(0.0)


def clip_gradients(gradients: Gradients, max_norm: float) -> tuple[Gradients, float]:
    """Scale gradients down to `max_norm`; returns them and their norm before clipping.

    Shorter gradients are returned untouched, and `max_norm` 0 never clips. A norm that is not
    finite is returned as it is and the gradients with it: the trainer stops on it.
    """
    norm = gradient_norm(gradients)
    length = as_float(norm)
    if max_norm == 0 or not length > max_norm or length == float("inf"):
        return gradients, length
    scale = max_norm / norm
    clipped: Gradients = tree_map(lambda leaf: (leaf * scale).astype(leaf.dtype), gradients)
    return clipped, length
