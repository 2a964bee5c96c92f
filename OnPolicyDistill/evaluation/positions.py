"""Where in a completion the held-out divergence lies, and how far learning pays.

With S_j the reverse KL at position j, summed over the held-out completions that reach it, the
divergence has flattened at the first L behind which less than `TAIL_SHARE` of it lies:

    L = min {l >= 1 : S_1 + ... + S_l >= (1 - TAIL_SHARE) * (S_1 + S_2 + ...)}

A curve that never falls thus keeps nearly all positions, and none is left out that holds much of
what there is to learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# 5 % was tried: on figures on squared paper it cut off the second of two slips (decision 0031).
TAIL_SHARE = 0.01


def sums_by_position(values: Sequence[float], lengths: Sequence[int]) -> tuple[float, ...]:
    """Add up, over rows of the given lengths, what was measured at each position."""
    sums = np.zeros(max(lengths, default=0))
    start = 0
    for length in lengths:
        sums[:length] += values[start : start + length]
        start += length
    return tuple(sums.tolist())


def flattened_at(sums: Sequence[float]) -> int:
    """The position, from 1, behind which less than 1 % of the sum lies; all where that is no sum.

    Rounding can make a KL of equal distributions a little negative: that counts as nothing.
    """
    reached = np.cumsum(np.maximum(np.array(sums, float), 0.0))
    if not 0 < reached[-1] < np.inf:
        return len(sums)
    return int(np.argmax(reached >= (1 - TAIL_SHARE) * reached[-1])) + 1
