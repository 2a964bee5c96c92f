"""In which order a run sees its rows: every one once an epoch, each epoch shuffled anew."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def row_at(number: int, num_rows: int, seed: int) -> int:
    """Index of the row that a run uses as its `number`-th, both from 0; a pure function."""
    epoch, place = divmod(number, num_rows)
    return _epoch_order(seed, epoch, num_rows)[place]


@lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, num_rows: int) -> tuple[int, ...]:
    return tuple(map(int, np.random.default_rng([seed, epoch]).permutation(num_rows)))
