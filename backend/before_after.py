"""What a student wrote to held-out prompts before it learned and after, beside its teacher."""

from __future__ import annotations

import stat

from pydantic import Field

from backend.evaluations import Answer, AnswerQuery, page_of_answers
from backend.history.views import View
from backend.problems import NotFoundError
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.planning.saved_adapters import WEIGHTS_FILE
from OnPolicyDistill.runs.checkpoints import exported
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.held_out_answers import (
    MOST_CHARACTERS,
    NUM_KEPT,
    HeldOutAnswer,
    answered_steps,
    read_answers,
)

Kept = dict[int, HeldOutAnswer]


class Written(View):
    """What was written to a prompt; `mark` is 1.0 where it is right, null where nobody knows."""

    text: str = Field(description="At most its last 2,000 characters.")
    mark: float | None


class BeforeAndAfter(View):
    """A held-out prompt with what was written to it; null where it was not."""

    index: int = Field(description="The prompt's place in its file.")
    prompt: str
    wanted: str | None = Field(description="The right answer, where the file has one.")
    before: Written
    after: Written
    teacher: Written | None


class BeforeAfter(View):
    """The first held-out prompts an evaluation drew; nothing where a run keeps no answers."""

    is_greedy: bool = Field(description="Whether the student's are greedy, not sampled.")
    after_step: int | None = Field(None, description="Null where it is the last one.")
    rows: tuple[BeforeAndAfter, ...] = ()
    adapter_bytes: int | None = Field(description="Size of what is exported by default.")


def before_after_of(run: RunDirectory, headline_step: int | None) -> BeforeAfter:
    """Return the answers that a run kept, before its first step and at what is exported."""
    before, after, teacher, is_greedy = _kept(run, headline_step) or _variants(run)
    rows = tuple(
        BeforeAndAfter(
            index=index,
            prompt=one.prompt,
            wanted=one.wanted,
            before=_written(one),
            after=_written(after[index]),
            teacher=_written(teacher[index]) if index in teacher else None,
        )
        for index, one in before.items()
        if index in after
    )
    return BeforeAfter(
        is_greedy=is_greedy,
        after_step=headline_step,
        rows=rows,
        adapter_bytes=_adapter_bytes(run),
    )


def _kept(run: RunDirectory, headline_step: int | None) -> tuple[Kept, Kept, Kept, bool] | None:
    """What evaluations kept; None where none did, or none but the first."""
    steps = answered_steps(run)
    if headline_step not in steps or steps[0] == headline_step:
        return None
    first, last = read_answers(run, steps[0]), read_answers(run, headline_step)
    # A teacher's answers are greedy: beside sampled ones they would be another thing.
    teacher = read_answers(run, "teacher").answers if first.is_greedy else ()
    return _by_index(first.answers), _by_index(last.answers), _by_index(teacher), first.is_greedy


def _by_index(answers: tuple[HeldOutAnswer, ...]) -> Kept:
    return {one.index: one for one in answers}


def _variants(run: RunDirectory) -> tuple[Kept, Kept, Kept, bool]:
    """The same of a run whose variants answered labelled items."""
    before, after, teacher = (
        _of_variant(run, name)
        for name in ("student_before", "student_after", "teacher_with_prompt")
    )
    return before, after, teacher, True


def _of_variant(run: RunDirectory, variant: str) -> Kept:
    try:
        page = page_of_answers(run, AnswerQuery(variant=variant, limit=NUM_KEPT))
    except (NotFoundError, InputError):
        return {}
    return {one.index: _answer(one) for one in page.answers}


def _answer(one: Answer) -> HeldOutAnswer:
    mark = None if one.gold is None else float(one.predicted == one.gold)
    return HeldOutAnswer(
        index=one.index,
        prompt=one.text[:MOST_CHARACTERS],
        wanted=one.gold,
        text=one.reply[-MOST_CHARACTERS:],
        mark=mark,
    )


def _written(one: HeldOutAnswer) -> Written:
    return Written(text=one.text, mark=one.mark)


def _adapter_bytes(run: RunDirectory) -> int | None:
    checkpoint = exported(run)
    if checkpoint is None:
        return None
    try:
        about = (checkpoint / WEIGHTS_FILE).lstat()
    except OSError:
        return None
    return about.st_size if stat.S_ISREG(about.st_mode) else None
