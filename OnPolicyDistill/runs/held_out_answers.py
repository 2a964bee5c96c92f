"""What models wrote to the first held-out prompts: RUN/evaluations/000050.answers.json for step 50.

Figures say how much a student learned; a few answers, before and after, let a person see what. The
teacher's own are in teacher.answers.json beside them. They are of the first prompts
in the file that an evaluation drew, none is chosen: completions that it makes anyway or, where it
only measures what is given, a few that are made to be seen (training/shown_answers.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, write_text_atomically
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.prompt_values import FOLDER

NUM_KEPT = 4
# What a person reads of one; of a long completion its end, where the answer stands.
MOST_CHARACTERS = 2_000
# Of those that are made to be seen alone: enough to see what became of a student.
MOST_SHOWN_TOKENS = 128
MAX_BYTES = 1_000_000
ENDING = ".answers.json"

# Whose answers a file has: the student's at a step, or the teacher's.
Whose = int | Literal["teacher"]
# Place in the file, prompt, right answer, what was written, and its mark.
Row = tuple[int, str, str | None, str, float | None]


class HeldOutAnswer(BaseModel):
    """One completion of a held-out prompt, which stands at `index` in its file.

    `mark` is 1.0 where it is right and 0.0 where it is wrong; None where that is not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    index: int
    prompt: str
    wanted: str | None = Field(description="The right answer, where the prompt's line has one.")
    text: str
    mark: float | None = None


class HeldOutAnswers(BaseModel):
    """The first answers of an evaluation; sampled at temperature 1 where they are not greedy."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    is_greedy: bool
    answers: tuple[HeldOutAnswer, ...] = ()


NO_ANSWERS = HeldOutAnswers(is_greedy=True)


def first_of(rows: Iterable[Row], is_greedy: bool = True) -> HeldOutAnswers:
    """The first answers, as they are kept: what is too long to read is cut."""
    return HeldOutAnswers(
        is_greedy=is_greedy,
        answers=tuple(
            HeldOutAnswer(
                index=index,
                prompt=prompt[:MOST_CHARACTERS],
                wanted=None if wanted is None else wanted[:MOST_CHARACTERS],
                text=text[-MOST_CHARACTERS:],
                mark=mark,
            )
            for index, prompt, wanted, text, mark in islice(rows, NUM_KEPT)
        ),
    )


def write_answers(run: RunDirectory, whose: Whose, kept: HeldOutAnswers) -> None:
    """Keep what is shown of an evaluation; without any answer there is no file."""
    if not kept.answers:
        return
    file = _file(run, whose)
    file.parent.mkdir(exist_ok=True)
    write_text_atomically(file, kept.model_dump_json())


def read_answers(run: RunDirectory, whose: Whose) -> HeldOutAnswers:
    """Read what was kept: nothing where no answers were, or where the file is damaged."""
    try:
        return HeldOutAnswers.model_validate_json(read_plain(_file(run, whose), MAX_BYTES))
    except (OSError, RunError, ValidationError):
        return NO_ANSWERS


def answered_steps(run: RunDirectory) -> list[int]:
    """Steps whose evaluation kept answers, rising."""
    folder = run.path / FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return []
    names = (file.name.removesuffix(ENDING) for file in folder.glob(f"*{ENDING}"))
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _file(run: RunDirectory, whose: Whose) -> Path:
    name = whose if isinstance(whose, str) else f"{whose:06d}"
    return run.path / FOLDER / f"{name}{ENDING}"
