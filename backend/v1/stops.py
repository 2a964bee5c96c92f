"""Texts at which an answer ends: what one of them could begin with is held back."""

from __future__ import annotations

from collections.abc import Sequence


class StopWatch:
    """Hands on what is surely part of the answer."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.is_over = False

    def add(self, text: str) -> str:
        """Return what can be told once this much more is written."""
        if self.is_over:
            return ""
        self._held += text
        found = [at for at in map(self._held.find, self._stops) if at >= 0]
        if found:
            self.is_over = True
            return self._release(min(found))
        return self._release(len(self._held) - self._num_doubtful())

    def rest(self) -> str:
        """Return what was held back and turned out to be no beginning."""
        return "" if self.is_over else self._release(len(self._held))

    def _num_doubtful(self) -> int:
        """Letters at the end that a stop could begin with."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        return next(
            (
                size
                for size in range(min(longest, len(self._held)), 0, -1)
                if any(stop.startswith(self._held[-size:]) for stop in self._stops)
            ),
            0,
        )

    def _release(self, size: int) -> str:
        told, self._held = self._held[:size], self._held[size:]
        return told
