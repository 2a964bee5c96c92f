"""What an evaluation means for a run: better, as good, worse, no progress, or leaving the teacher.

Two evaluations differ where the paired interval of their difference excludes 0; everything else is
luck of the prompts that were drawn. Two earlier ones are remembered for that:

- the last *improvement*, which a new one has to beat: patience counts from there. Steps too small
  to be seen one by one add up against it;
- the *lowest* one, which `best` may not be worse than: compared with the newest only, a run that
  slowly gets worse would be as good as itself all the way (docs/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from OnPolicyDistill.settings.training import BestOfEquals

DIVERGED_FACTOR = 2.0
DIVERGED_EVALUATIONS = 2

Verdict = Literal["improved", "equal", "waiting", "plateau", "diverged"]
# The interval of the metric now minus at an earlier step; None where they cannot be paired.
ChangeSince = Callable[[int], tuple[float, float] | None]


@dataclass(frozen=True, slots=True)
class Progress:
    """The held-out metric so far; lower is better.

    `since_improved` counts evaluations since the last improvement, `far_off` evaluations in a row
    that were worse than twice the first one.
    """

    first: float | None = None
    best_step: int | None = None
    improved_step: int | None = None
    lowest_step: int | None = None
    lowest: float | None = None
    since_improved: int = 0
    far_off: int = 0


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation to be judged: its step, its metric, and how it differs from earlier ones."""

    step: int
    value: float
    change_since: ChangeSince


def judge(
    progress: Progress, now: Evaluated, patience: int, best_of_equals: BestOfEquals = "later"
) -> tuple[Progress, Verdict]:
    """Take one more evaluation into account; `patience` 0 never calls a plateau.

    `equal` means that `best` moves here although nothing has improved. A plateau may move it too:
    `best_step` of the progress says where it is.
    """
    first = now.value if progress.first is None else progress.first
    far_off = progress.far_off + 1 if now.value > DIVERGED_FACTOR * first else 0
    improved = _is_better(progress.improved_step, now)
    moves = improved if best_of_equals == "earlier" else not _is_worse(progress.lowest_step, now)
    after = replace(
        progress,
        first=first,
        far_off=far_off,
        since_improved=0 if improved else progress.since_improved + 1,
        improved_step=now.step if improved else progress.improved_step,
        best_step=now.step if moves else progress.best_step,
    )
    if progress.lowest is None or now.value < progress.lowest:
        after = replace(after, lowest_step=now.step, lowest=now.value)
    return after, _verdict(after, improved, moves, patience)


def _verdict(after: Progress, improved: bool, moves: bool, patience: int) -> Verdict:
    if improved:
        return "improved"
    if after.far_off >= DIVERGED_EVALUATIONS:
        return "diverged"
    if patience and after.since_improved >= patience:
        return "plateau"
    return "equal" if moves else "waiting"


def _is_better(step: int | None, now: Evaluated) -> bool:
    """Whether the metric is lower than at a step beyond doubt; the first evaluation is."""
    if step is None:
        return True
    change = now.change_since(step)
    return change is not None and change[1] < 0


def _is_worse(step: int | None, now: Evaluated) -> bool:
    if step is None:
        return False
    change = now.change_since(step)
    return change is not None and change[0] > 0
