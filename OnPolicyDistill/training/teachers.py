"""Pairs whose teachers come when they are asked: from disk, or several that take turns.

The student is prepared first, and no teacher is loaded before something needs one. With
`keep_teacher_loaded` off the student leaves before the teacher comes, as training/pair.py has it;
where the disk has everything, neither has to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from OnPolicyDistill.datasets.teacher_keys import teachers_of
from OnPolicyDistill.evaluation.heldout import HeldOut
from OnPolicyDistill.rollout import EncodedPrompt
from OnPolicyDistill.runs.held_out_answers import write_answers
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.teachers import NamedTeacher
from OnPolicyDistill.teacher.scorer import Scorer
from OnPolicyDistill.teacher.several import SeveralTeachers
from OnPolicyDistill.teacher.stored import StoredTeacher
from OnPolicyDistill.teacher.student_copy import StudentCopyTeacher
from OnPolicyDistill.training.distillation import PROBE_ROWS
from OnPolicyDistill.training.kept_scores import (
    Asked,
    complete_own,
    complete_own_held_out,
    mark_own,
    score_ahead,
)
from OnPolicyDistill.training.making_teachers import (
    ONLY,
    make_teachers,
    makings_of,
    meet_teachers,
)
from OnPolicyDistill.training.pair import (
    EncodeFor,
    Load,
    Pair,
    load_student,
    prove_on,
)
from OnPolicyDistill.training.prompts import Prompts, read_prompts
from OnPolicyDistill.training.rollouts import (
    COMPLETIONS_FILE,
    CompletionStore,
    Row,
    first_epoch,
    make_completions,
    rows_of_step,
    uses_fixed_rollouts,
)
from OnPolicyDistill.training.student import student_of
from OnPolicyDistill.training.turn_ends import warn_of_unstopped_turns
from OnPolicyDistill.training.work import Work


def prepare_teachers(
    work: Work, settings: DistillationSettings, load: Load, encode: EncodeFor
) -> Pair:
    """Load the student and the prompts, and make what has to exist before step 1.

    Raises:
        DistillError: a file, a model or a pair cannot be used.
    """
    served, vocab_size = meet_teachers(work, settings)
    policy, adapter = load_student(work, settings, load, vocab_size)
    warn_of_unstopped_turns(policy, work.reporter)
    prompts, settings = read_prompts(
        settings, lambda file: _for_teachers(settings, encode(policy, file), file), work.reporter
    )
    store = CompletionStore(work.run.path / COMPLETIONS_FILE)
    makings = makings_of(work, settings, load, policy)
    teachers = make_teachers(makings, served)
    rows = coming_again(settings, prompts.train)
    make_completions("student", policy, rows, store, settings.limited(), work)
    asked = Asked(work, settings, teachers, store)
    marks, own = mark_own(asked, prompts.held_out)
    write_answers(work.run, "teacher", own)
    complete_own(replace(asked, settings=settings.limited()), rows)
    held_out = prompts.held_out
    if not settings.keep_teacher_loaded:
        held_out = _score_all(asked, prompts, rows)
        makings.seat.is_closed = True
        if makings.seat.has_left:
            _send_away(teachers)
            policy, adapter = load_student(work, settings, load, vocab_size)
    copies = {
        f"student_copy_{place}.safetensors": teacher
        for place, teacher in enumerate(teachers.values())
        if isinstance(teacher, StudentCopyTeacher)
    }
    return Pair(
        settings,
        student_of(policy, adapter, settings, settings.student_model),
        SeveralTeachers(teachers, makings.form) if settings.teachers else teachers[ONLY],
        prompts.train,
        held_out,
        marks,
        store,
        copies,
    )


def prove_teachers(work: Work, pair: Pair) -> None:
    """Prove learning from every teacher, on the first of its rows; a copy of the student is none.

    Raises:
        ProofError: a claim does not hold.
    """
    for teacher in pair.settings.teachers:
        if teacher.student_copy is not None:
            continue
        own = [row for row in first_epoch(pair.settings, pair.prompts) if _is_of(row, teacher)]
        if own:
            prove_on(work, pair, own[:PROBE_ROWS], teacher.name)


def _is_of(row: Row, teacher: NamedTeacher) -> bool:
    return row.prompt.teacher == teacher.name


def _for_teachers(
    settings: DistillationSettings, prompts: tuple[EncodedPrompt, ...], file: Path
) -> tuple[EncodedPrompt, ...]:
    """Prompts with the teachers that their lines name; as they are where there is but one."""
    if not settings.teachers:
        return prompts
    named = teachers_of(file, [teacher.name for teacher in settings.teachers])
    return tuple(replace(prompt, teacher=named[prompt.index]) for prompt in prompts)


def coming_again(settings: DistillationSettings, prompts: tuple[EncodedPrompt, ...]) -> list[Row]:
    """Rows whose completions are used again: fixed ones, or all that are the teachers' own."""
    if uses_fixed_rollouts(settings):
        return first_epoch(settings, prompts)
    if settings.on_policy_fraction == 1:
        return []
    steps = range(1, settings.num_steps + 1)
    rows = (row for step in steps for row in rows_of_step(settings, prompts, step))
    return [row for row in rows if row.source == "teacher"]


def _score_all(asked: Asked, prompts: Prompts, rows: list[Row]) -> HeldOut:
    """Score whatever a run without its teacher will ask for; the held-out set to measure on."""
    held_out = complete_own_held_out(asked, prompts.held_out)
    score_ahead(asked, rows, held_out.fixed)
    return held_out


def _send_away(teachers: Mapping[str, Scorer]) -> None:
    for teacher in teachers.values():
        if isinstance(teacher, StoredTeacher):
            teacher.leave()
