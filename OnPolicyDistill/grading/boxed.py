r"""Grading by `\boxed{}`: the last box behind the last `</think>`, against the right answer.

Numbers are compared by value, strictly or within a tolerance, whatever they are written as; other
answers (a letter, "yes", an interval) by their words. A grade is 0 or 1, with its reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from OnPolicyDistill.grading.latex_numbers import (
    LAYOUT,
    THIN_SPACE,
    WRAPPED,
    NoNumberError,
    Quantity,
    Steps,
    read_quantity,
)

Reason = Literal[
    "right",
    "wrong",
    "no box",
    "unclosed box",
    "empty box",
    "box too long",
    "unclosed thought",
    "not a number",
    "other unit",
]
OPENS, CLOSES, BOX = "<think>", "</think>", r"\boxed"
MAX_BOX_CHARACTERS = 1_000
# GEO3K rounds its answers to one decimal place: half of the last one.
ROUNDED = 0.05
# Two ways of writing one number differ by this much when computed; relative.
ROUNDING_ERROR = 1e-9
NAMED = re.compile(r"\A[A-Za-z\\ _{}'\N{ANGLE}]{1,40}\Z")
EQUALS = re.compile(r"=|\\approx|\N{ALMOST EQUAL TO}")
CHOICE = re.compile(r"\A\(?([a-z])[).]?\Z")
EDGES = " .,;:\n\t"


@dataclass(frozen=True, slots=True)
class Grade:
    """1.0 or 0.0, and why; `given` is what stood in the box, `steps` what reading it cost."""

    mark: float
    reason: Reason
    given: str | None = None
    steps: int = 0


def grade_boxed(
    completion: str, answer: str, tolerance: float = 0.0, *, thought_opened: bool = False
) -> Grade:
    """Grade a completion.

    `tolerance` is absolute; 0 asks for equal numbers. `thought_opened` says that the prompt ended
    inside a thought, as those of -Thinking models do: without its end there is no answer.
    """
    _, closed, spoken = completion.rpartition(CLOSES)
    if OPENS in spoken or (thought_opened and not closed):
        return Grade(0.0, "unclosed thought")
    found = last_box(spoken)
    if not isinstance(found, str):
        return found
    steps = Steps()
    reason = _compared(found, answer, tolerance, steps)
    return Grade(float(reason == "right"), reason, found, len(found) + steps.taken)


def last_box(spoken: str) -> str | Grade:
    """What stands in the last box of a text, or the grade of a text without one."""
    start = spoken.rfind(BOX)
    if start < 0:
        return Grade(0.0, "no box")
    window = spoken[start + len(BOX) :][: MAX_BOX_CHARACTERS + 2].lstrip(" ")
    if not window.startswith("{"):
        return Grade(0.0, "no box")
    depth = 0
    for place, sign in enumerate(window):
        escaped = place > 0 and window[place - 1] == "\\"
        if sign in "{}" and not escaped:
            depth += 1 if sign == "{" else -1
        if depth == 0:
            inside = window[1:place].strip()
            return inside or Grade(0.0, "empty box", steps=place)
    is_cut = len(window) >= MAX_BOX_CHARACTERS
    return Grade(0.0, "box too long" if is_cut else "unclosed box", steps=len(window))


def _compared(given: str, answer: str, tolerance: float, steps: Steps) -> Reason:
    """Compare as numbers where the answer is one, else as words."""
    wanted = _quantity(answer, Steps())
    if wanted is None or _words(given) == _words(answer):
        return "right" if _words(given) == _words(answer) else "wrong"
    found = _quantity(given, steps)
    if found is None:
        return "not a number"
    if found.unit and wanted.unit and found.unit != wanted.unit:
        return "other unit"
    readings = _readings(found, wanted)
    return "right" if any(_near(value, wanted.value, tolerance) for value in readings) else "wrong"


def _quantity(text: str, steps: Steps) -> Quantity | None:
    try:
        return read_quantity(_right_side(text), steps)
    except NoNumberError:
        return None


def _right_side(text: str) -> str:
    r"""`5` of `x = 5` and of `5 \approx 5.02`: what is named, exactly where both are given."""
    if len(text) > MAX_BOX_CHARACTERS:
        return text
    sides = EQUALS.split(text)
    if len(sides) > 1 and NAMED.match(sides[0]):
        sides = sides[1:]
    return sides[0]


def _readings(found: Quantity, wanted: Quantity) -> tuple[float, ...]:
    """What a number may mean where only one side says percent."""
    if (found.unit == "%") == (wanted.unit == "%"):
        return (found.value,)
    if found.unit == "%":
        return (found.value / 100, found.value) if abs(wanted.value) >= 1 else (found.value / 100,)
    return (found.value * 100, found.value) if abs(wanted.value) >= 1 else (found.value * 100,)


def _near(found: float, wanted: float, tolerance: float) -> bool:
    return abs(found - wanted) <= tolerance + ROUNDING_ERROR * max(abs(found), abs(wanted))


def _words(text: str) -> str:
    """A text as its words alone: without layout, spaces and case, a choice without its brackets."""
    if len(text) > MAX_BOX_CHARACTERS:
        return text
    plain = THIN_SPACE.sub(" ", WRAPPED.sub(r" \1 ", LAYOUT.sub("", text)))
    plain = "".join(plain.split()).casefold().strip(EDGES)
    choice = CHOICE.match(plain)
    return choice[1] if choice else plain
