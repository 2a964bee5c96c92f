"""Parameter trees as flat dictionaries, always in the order of their names."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten


def flat_arrays(tree: object) -> dict[str, mx.array]:
    """Flatten a tree of arrays to dotted names, sorted, so that files and sums repeat exactly."""
    flat = tree_flatten(tree)
    assert isinstance(flat, list)
    return dict(sorted(flat, key=lambda item: item[0]))


def arrays_of(module: nn.Module) -> dict[str, mx.array]:
    """Every parameter of a module by its dotted name, sorted."""
    return flat_arrays(module.parameters())


def count_parameters(tree: object) -> int:
    """Number of numbers in a tree of arrays; packed weights count as stored words."""
    return sum(array.size for array in flat_arrays(tree).values())
