"""Advantages: how much better each rollout of a group was graded than the group's others.

Everything here is on the host, in float64. In float32 equal rewards do not cancel: eight rewards
of 0.7 leave a deviation of 6e-8, which divided by a spread of the same size is an advantage of
6e-4, and AdamW, whose steps do not know how large a gradient is, makes a whole step of it.

With r the rewards of a group, an advantage is (r - mean) / (std + 1e-4), where std divides by
one less than the group's size (Shao et al., DeepSeekMath, arXiv 2402.03300). A group whose
rewards are all equal is dead: its advantages are exactly 0.

Letters: R rollouts of a step, in groups that lie side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ScaleRewards = Literal["group", "batch", "none"]
SMALLEST_SPREAD = 1e-4


@dataclass(frozen=True, slots=True)
class Advantages:
    """An advantage a rollout, in order; which rollouts' groups are dead; the groups' mean spread.

    A rollout without a reward has advantage 0. A group is dead as well when fewer than two of its
    rollouts have one. `spread` is the mean of the groups' standard deviations.
    """

    values: tuple[float, ...]
    is_dead: tuple[bool, ...]
    spread: float


def advantages_of(
    rewards: Sequence[float | None], group_size: int, scale: ScaleRewards = "group"
) -> Advantages:
    """Compare every rollout with its group; None is a rollout that could not be graded.

    `scale` says what the difference is divided by: the group's own spread, that of all groups
    together, or nothing. Raises ValueError if the rewards are no whole groups.
    """
    if group_size < 1 or not rewards or len(rewards) % group_size:
        raise ValueError(f"{len(rewards)} rewards are no whole groups of {group_size}")
    table = np.array([np.nan if r is None else r for r in rewards], float).reshape(-1, group_size)
    values = np.zeros_like(table)
    is_dead = np.ones(table.shape, bool)
    spreads = []
    batch_spread = _spread(table[~np.isnan(table)])
    for place, group in enumerate(table):
        known = ~np.isnan(group)
        spread = _spread(group[known])
        spreads.append(spread)
        if spread == 0:
            continue
        is_dead[place] = False
        divisor = {"group": spread, "batch": batch_spread, "none": None}[scale]
        values[place, known] = group[known] - group[known].mean()
        if divisor is not None:
            values[place] /= divisor + SMALLEST_SPREAD
    return Advantages(
        tuple(map(float, values.ravel())),
        tuple(map(bool, is_dead.ravel())),
        float(np.mean(spreads)),
    )


def _spread(rewards: NDArray[np.float64]) -> float:
    """Sample standard deviation; exactly 0 for equal rewards, whatever rounding makes of it."""
    if len(rewards) < 2 or rewards.max() == rewards.min():
        return 0.0
    return float(rewards.std(ddof=1))
