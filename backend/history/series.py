"""One metric over steps, with a power-of-two pyramid: no spike is lost at any zoom.

Level k holds minimum, maximum and mean of 2^k neighbouring points. Buckets are counted from the
first point, so they do not move while points are appended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Points:
    """Buckets of a range: `step` and `time` are those of a bucket's last point."""

    bucket: int
    num_points: int
    step: Steps
    time: Floats
    minimum: Floats
    maximum: Floats
    mean: Floats


@dataclass(slots=True)
class _Level:
    minimum: Floats
    maximum: Floats
    mean: Floats


class Series:
    """Values by step, in order; a step reported again replaces it and what came later."""

    def __init__(self) -> None:
        self._size = 0
        self._steps: Steps = np.empty(0, np.int64)
        self._times: Floats = np.empty(0)
        self._values: Floats = np.empty(0)
        self._levels: list[_Level] = []
        self._last_step = -1
        # Logs come in bulk: parts are joined when somebody looks.
        self._new: list[tuple[Steps, Floats, Floats]] = []
        self._num_new = 0

    @classmethod
    def of(cls, steps: Steps, times: Floats, values: Floats) -> Self:
        """Make a series of arrays that it never writes to; steps rise."""
        made = cls()
        made._size = len(steps)
        made._steps, made._times, made._values = steps, times, values
        made._last_step = int(steps[-1]) if len(steps) else -1
        return made

    def __len__(self) -> int:
        return self._size + self._num_new

    @property
    def values(self) -> Floats:
        """All values."""
        self._settle()
        return self._values[: self._size]

    @property
    def steps(self) -> Steps:
        """The steps of all values, rising."""
        self._settle()
        return self._steps[: self._size]

    @property
    def times(self) -> Floats:
        """The times of all values, Unix seconds."""
        self._settle()
        return self._times[: self._size]

    def at(self, step: int) -> float | None:
        """The value at a step, None where there is none."""
        place = int(np.searchsorted(self.steps, step))
        found = place < self._size and int(self._steps[place]) == step
        return float(self._values[place]) if found else None

    def append(self, step: int, time: float, value: float) -> None:
        """Add a value at a step."""
        self.extend(np.array([step]), np.array([time]), np.array([value]))

    def extend(self, steps: Steps, times: Floats, values: Floats) -> None:
        """Add values at rising steps."""
        first = int(steps[0])
        if first <= self._last_step:
            self.cut(first - 1)
        self._last_step = int(steps[-1])
        self._new.append((steps, times, values))
        self._num_new += len(steps)

    def _settle(self) -> None:
        """Move what was appended into the arrays; what a reader holds of old ones stays."""
        if not self._new:
            return
        begin, end = self._size, self._size + self._num_new
        if end > len(self._steps):
            more = max(64, end, 2 * len(self._steps)) - len(self._steps)
            self._steps = np.concatenate([self._steps, np.empty(more, np.int64)])
            self._times = np.concatenate([self._times, np.empty(more)])
            self._values = np.concatenate([self._values, np.empty(more)])
        steps, times, values = zip(*self._new, strict=True)
        np.concatenate(steps, out=self._steps[begin:end])
        np.concatenate(times, out=self._times[begin:end])
        np.concatenate(values, out=self._values[begin:end])
        self._size, self._new, self._num_new = end, [], 0

    def cut(self, step: int) -> None:
        """Forget what stands behind a step, because a resume undid it."""
        size = int(np.searchsorted(self.steps, step, side="right"))
        if size == self._size:
            return
        self._steps, self._times = self._steps.copy(), self._times.copy()
        self._values = self._values.copy()
        self._size = size
        self._last_step = int(self._steps[size - 1]) if size else -1
        for number, level in enumerate(self._levels, start=1):
            whole = size >> number
            level.minimum, level.maximum = level.minimum[:whole], level.maximum[:whole]
            level.mean = level.mean[:whole]

    def points(self, first: int | None, last: int | None, px: int) -> Points:
        """Return at most `px` buckets (two more at the edges) over steps first to last."""
        steps, size = self.steps, self._size
        start = 0 if first is None else int(np.searchsorted(steps, first, side="left"))
        stop = size if last is None else int(np.searchsorted(steps, last, side="right"))
        level = 0
        while (max(stop - start, 0) >> level) > px:
            level += 1
        begin, end = start >> level, -(-stop >> level) if stop > start else start >> level
        low, high, mean = self._buckets(level, begin, end)
        ends = np.minimum((np.arange(begin, end) + 1) << level, size) - 1
        return Points(
            bucket=1 << level,
            num_points=max(stop - start, 0),
            step=steps[ends],
            time=self._times[ends],
            minimum=low,
            maximum=high,
            mean=mean,
        )

    def _buckets(self, level: int, begin: int, end: int) -> tuple[Floats, Floats, Floats]:
        if level == 0:
            part = self._values[begin:end]
            return part, part, part
        self._build(level)
        built = self._levels[level - 1]
        low, high, mean = (part[begin:end] for part in (built.minimum, built.maximum, built.mean))
        rest = self.values[(self._size >> level) << level :]
        if end > self._size >> level and len(rest):
            low, high = np.append(low, rest.min()), np.append(high, rest.max())
            mean = np.append(mean, rest.mean())
        return low, high, mean

    def _build(self, wanted: int) -> None:
        """Extend the levels by the buckets that have become whole."""
        for number in range(1, wanted + 1):
            if len(self._levels) < number:
                self._levels.append(_Level(np.empty(0), np.empty(0), np.empty(0)))
            level = self._levels[number - 1]
            done, whole = len(level.mean), self._size >> number
            if whole > done:
                self._extend(number, done, whole)

    def _extend(self, number: int, done: int, whole: int) -> None:
        below = self._levels[number - 2] if number > 1 else _Level(*(self.values,) * 3)
        level = self._levels[number - 1]
        left, right = slice(2 * done, 2 * whole, 2), slice(2 * done + 1, 2 * whole, 2)
        low = np.minimum(below.minimum[left], below.minimum[right])
        high = np.maximum(below.maximum[left], below.maximum[right])
        mean = (below.mean[left] + below.mean[right]) / 2
        level.minimum, level.maximum = np.append(level.minimum, low), np.append(level.maximum, high)
        level.mean = np.append(level.mean, mean)
