"""What an evaluation means for a run: better, as good, worse, no progress, or leaving the teacher.

Two evaluations differ where the paired interval of their difference excludes 0; everything else is
luck of the prompts that were drawn. Two earlier ones are remembered for that:

- the last *improvement*, which a new one has to beat: patience counts from there. Steps too small
  to be seen one by one add up against it;
- the *leading* one, whose value is the best of all, which `best` may not be worse than: compared
  with the newest only, a run that slowly gets worse would be as good as itself all the way
  (docs/decisions/0011).

Which way is better is the metric's own declaration, and told with every evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from OnPolicyDistill.settings.training import BestOfEquals

DIVERGED_FACTOR = 2.0
DIVERGED_EVALUATIONS = 2

Verdict = Literal["improved", "equal", "waiting", "plateau", "diverged"]
Direction = Literal["lower", "higher"]
# The interval of the metric now minus at an earlier step; None where they cannot be paired.
ChangeSince = Callable[[int], tuple[float, float] | None]


@dataclass(frozen=True, slots=True)
class Progress:
    """The held-out metric so far; `leading` is its best value, measured at `leading_step`.

    `since_improved` counts evaluations since the last improvement, `far_off` evaluations in a row
    that were far worse than the first one.
    """

    first: float | None = None
    best_step: int | None = None
    improved_step: int | None = None
    leading_step: int | None = None
    leading: float | None = None
    since_improved: int = 0
    far_off: int = 0


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation to be judged: its step, its metric, and how it differs from earlier ones."""

    step: int
    value: float
    better: Direction
    change_since: ChangeSince

    def leads(self, value: float | None) -> bool:
        """Whether the metric is better than a value, chance or not; than None it is."""
        if value is None:
            return True
        return self.value < value if self.better == "lower" else self.value > value

    def is_better_than_at(self, step: int | None) -> bool:
        """Whether the metric is better than at a step beyond doubt; the first evaluation is."""
        if step is None:
            return True
        gain = self._gain_since(step)
        return gain is not None and gain[0] > 0

    def is_worse_than_at(self, step: int | None) -> bool:
        """Whether the metric is worse than at a step beyond doubt; the first evaluation is not."""
        if step is None:
            return False
        gain = self._gain_since(step)
        return gain is not None and gain[1] < 0

    def _gain_since(self, step: int) -> tuple[float, float] | None:
        """The interval of how much better the metric is than at a step."""
        change = self.change_since(step)
        if change is None or self.better == "higher":
            return change
        return -change[1], -change[0]


def judge(
    progress: Progress, now: Evaluated, patience: int, best_of_equals: BestOfEquals = "later"
) -> tuple[Progress, Verdict]:
    """Take one more evaluation into account; `patience` 0 never calls a plateau.

    `equal` means that `best` moves here although nothing has improved. A plateau may move it too:
    `best_step` of the progress says where it is.
    """
    first = now.value if progress.first is None else progress.first
    improved = now.is_better_than_at(progress.improved_step)
    is_as_good = not now.is_worse_than_at(progress.leading_step)
    moves = improved if best_of_equals == "earlier" else is_as_good
    after = replace(
        progress,
        first=first,
        far_off=progress.far_off + 1 if _is_far_off(first, now, is_as_good) else 0,
        since_improved=0 if improved else progress.since_improved + 1,
        improved_step=now.step if improved else progress.improved_step,
        best_step=now.step if moves else progress.best_step,
    )
    if now.leads(progress.leading):
        after = replace(after, leading_step=now.step, leading=now.value)
    return after, _verdict(after, improved, moves, patience)


def _is_far_off(first: float, now: Evaluated, is_as_good: bool) -> bool:
    """Whether the metric is far worse than at first: twice as high, or less than half as high.

    A share that began near 0 falls by half through luck alone, and a reward may begin below 0:
    where higher is better half of the first value's size must be lost, and beyond chance.
    """
    if now.better == "lower":
        return now.value > DIVERGED_FACTOR * first
    return first - now.value > abs(first) / DIVERGED_FACTOR and not is_as_good


def _verdict(after: Progress, improved: bool, moves: bool, patience: int) -> Verdict:
    if improved:
        return "improved"
    if after.far_off >= DIVERGED_EVALUATIONS:
        return "diverged"
    if patience and after.since_improved >= patience:
        return "plateau"
    return "equal" if moves else "waiting"
