"""Which of a run's several teachers each line of a prompt file is for: its `teacher` key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from OnPolicyDistill.datasets.prompts import Prompt, read_prompts
from OnPolicyDistill.datasets.records import BadLine
from OnPolicyDistill.errors import DatasetError

TEACHER_KEY = "teacher"
SHOWN_CHARACTERS = 40


def teachers_of(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The teacher of every prompt of a file, in its order; lines that are no prompt are skipped.

    Raises:
        DatasetError: a line names none, or one that there is not; names file and line and counts
            the others.
    """
    named: list[str] = []
    wrong: list[Prompt] = []
    for prompt in read_prompts(path):
        if isinstance(prompt, BadLine):
            continue
        name = prompt.extras.get(TEACHER_KEY)
        if isinstance(name, str) and name in names:
            named.append(name)
        else:
            wrong.append(prompt)
    if wrong:
        raise _explain(path, wrong, names)
    return tuple(named)


def _explain(path: Path, wrong: Sequence[Prompt], names: Sequence[str]) -> DatasetError:
    first, others = wrong[0], len(wrong) - 1
    named = first.extras.get(TEACHER_KEY)
    what = "The line names no teacher."
    if named is not None:
        what = f"There is no teacher {str(named)[:SHOWN_CHARACTERS]!r}."
    if others:
        what += f" {others} more {'line has' if others == 1 else 'lines have'} the same problem."
    fix = f'Write "{TEACHER_KEY}": one of {", ".join(names)}.'
    return DatasetError(what, fix, path, first.line)
