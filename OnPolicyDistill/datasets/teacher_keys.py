"""Which of a run's several teachers each line of a prompt file is for: its `teacher` key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.errors import DatasetError

TEACHER_KEY = "teacher"
SHOWN_CHARACTERS = 40


def teachers_of(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The teacher of every prompt of a file, in its order.

    Raises:
        DatasetError: a line names none, or one that there is not; names file and line and counts
            the others. Or the file cannot be read.
    """
    prompts = load_prompts(path).prompts
    wrong = [prompt for prompt in prompts if prompt.extras.get(TEACHER_KEY) not in names]
    if wrong:
        first, others = wrong[0], len(wrong) - 1
        named = first.extras.get(TEACHER_KEY)
        what = "The line names no teacher."
        if named is not None:
            what = f"There is no teacher {str(named)[:SHOWN_CHARACTERS]!r}."
        more = f" So have {others} more lines." if others > 1 else ""
        more = " So has one more line." if others == 1 else more
        fix = f'Write "{TEACHER_KEY}": one of {", ".join(names)}.'
        raise DatasetError(what + more, fix, path, first.line)
    return tuple(str(prompt.extras[TEACHER_KEY]) for prompt in prompts)
