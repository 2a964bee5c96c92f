"""Which rows a run uses: every one once an epoch, each epoch shuffled anew; a part drawn evenly.

Orders and parts are pure functions of seed and place, so a data cursor is all that a resume needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np


def row_at(number: int, num_rows: int, seed: int) -> int:
    """Index of the row that a run uses as its `number`-th, both from 0; a pure function."""
    epoch, place = divmod(number, num_rows)
    return _epoch_order(seed, epoch, num_rows)[place]


def drawn_evenly(num_rows: int, wanted: int, seed: int) -> tuple[int, ...]:
    """Indices of `wanted` rows, rising: one of each of as many equal stretches of the file.

    A file is often sorted, by style or by source, so its first rows would stand for one part only.
    """
    if wanted >= num_rows:
        return tuple(range(num_rows))
    edges = np.arange(wanted + 1) * num_rows // wanted
    drawn = np.random.default_rng([seed, num_rows, wanted]).integers(edges[:-1], edges[1:])
    return tuple(map(int, drawn))


# Micro-batches that are sorted together: rows of a window come in any order of windows.
BATCHES_PER_WINDOW = 32


def bucketed_rows(numbers: range, lengths: Sequence[int], batch_size: int, seed: int) -> list[int]:
    """Indices of the rows that a run uses as its `numbers`, from 0, in micro-batches of one length.

    An epoch is shuffled, cut into windows, sorted by length inside each, and cut into micro-batches
    whose order is shuffled again. Micro-batches are counted from the start of the run: the one that
    an epoch's end cuts in two is filled from the next epoch, and only it mixes lengths.
    """
    all_lengths = tuple(lengths)
    found: list[int] = []
    for epoch in range(numbers.start // len(lengths), (numbers.stop - 1) // len(lengths) + 1):
        order = _bucketed_epoch(seed, epoch, all_lengths, batch_size)
        first = epoch * len(lengths)
        found += order[max(numbers.start - first, 0) : max(numbers.stop - first, 0)]
    return found


@lru_cache(maxsize=4)
def _bucketed_epoch(
    seed: int, epoch: int, lengths: tuple[int, ...], batch_size: int
) -> tuple[int, ...]:
    shuffled = _epoch_order(seed, epoch, len(lengths))
    # What the last micro-batch of the epoch before still needs comes first.
    head = -epoch * len(lengths) % batch_size
    num_whole = (len(lengths) - head) // batch_size * batch_size
    middle, tail = shuffled[head : head + num_whole], shuffled[head + num_whole :]
    batches: list[tuple[int, ...]] = []
    window = BATCHES_PER_WINDOW * batch_size
    for start in range(0, num_whole, window):
        ordered = sorted(middle[start : start + window], key=lambda row: lengths[row])
        batches += (
            tuple(ordered[at : at + batch_size]) for at in range(0, len(ordered), batch_size)
        )
    turns = np.random.default_rng([seed, epoch, 1]).permutation(len(batches))
    return (*shuffled[:head], *(row for turn in turns for row in batches[turn]), *tail)


@lru_cache(maxsize=4)
def _epoch_order(seed: int, epoch: int, num_rows: int) -> tuple[int, ...]:
    return tuple(map(int, np.random.default_rng([seed, epoch]).permutation(num_rows)))
