"""In which order the prompts of several teachers come, so that few of them have to be loaded.

`by_teacher`: an epoch has every teacher's prompts in a row, in the order of the settings, every
other epoch backwards, so that the teacher at the border stays: k - 1 loads an epoch. `mixed`: an
epoch is in the order that one teacher would have, and a step's rows are grouped, every other step
backwards: k - 1 loads a step. Both follow from settings and numbers alone, so a resumed run finds
its rows again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

from OnPolicyDistill.datasets.order import row_at
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.settings.distillation import DistillationSettings

if TYPE_CHECKING:
    from OnPolicyDistill.training.rollouts import Row

T = TypeVar("T")


def places_of_rows(
    settings: DistillationSettings, prompts: Sequence[EncodedPrompt], numbers: range
) -> list[int]:
    """Which prompts the rows of these numbers have: every prompt once an epoch."""
    size, seed = len(prompts), settings.seed
    if not settings.teachers or settings.teacher_order == "mixed":
        return [row_at(number, size, seed) for number in numbers]
    turns = tuple(_turn(settings, prompt) for prompt in prompts)
    return [_places_of_epoch(turns, number // size, seed)[number % size] for number in numbers]


def turned(settings: DistillationSettings, rows: list[Row], step: int) -> list[Row]:
    """A step's rows, those of one teacher together where they are mixed."""
    if not settings.teachers or settings.teacher_order == "by_teacher":
        return rows
    way = 1 if step % 2 else -1
    return sorted(rows, key=lambda row: way * _turn(settings, row.prompt))


def runs_of_one_teacher(items: Sequence[T], teacher_of: Callable[[T], str]) -> list[list[T]]:
    """The items cut wherever the teacher changes."""
    return [list(run) for _, run in groupby(items, key=teacher_of)]


def _turn(settings: DistillationSettings, prompt: EncodedPrompt) -> int:
    return [teacher.name for teacher in settings.teachers].index(prompt.teacher)


@lru_cache(maxsize=2)
def _places_of_epoch(turns: tuple[int, ...], epoch: int, seed: int) -> tuple[int, ...]:
    """The prompts of an epoch: shuffled as ever, then each teacher's together."""
    size = len(turns)
    shuffled = [row_at(number, size, seed) for number in range(epoch * size, (epoch + 1) * size)]
    way = -1 if epoch % 2 else 1
    return tuple(sorted(shuffled, key=lambda place: way * turns[place]))
