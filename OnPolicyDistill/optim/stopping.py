"""When to stop: no progress for a while, or a run that leaves its teacher instead of nearing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DIVERGED_FACTOR = 2.0
DIVERGED_EVALUATIONS = 2

Verdict = Literal["improved", "waiting", "plateau", "diverged"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The held-out metric so far; lower is better.

    `since_best` counts evaluations without improvement, `far_off` evaluations in a row that were
    worse than twice the first one.
    """

    first: float | None = None
    best: float | None = None
    since_best: int = 0
    far_off: int = 0


def judge(progress: Progress, value: float, patience: int) -> tuple[Progress, Verdict]:
    """Take one more evaluation into account; `patience` 0 never calls a plateau."""
    first = value if progress.first is None else progress.first
    far_off = progress.far_off + 1 if value > DIVERGED_FACTOR * first else 0
    if progress.best is None or value < progress.best:
        return Progress(first, value, 0, far_off), "improved"
    waited = progress.since_best + 1
    after = Progress(first, progress.best, waited, far_off)
    if far_off >= DIVERGED_EVALUATIONS:
        return after, "diverged"
    return after, "plateau" if patience and waited >= patience else "waiting"
