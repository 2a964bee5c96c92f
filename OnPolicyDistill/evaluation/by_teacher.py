"""What an evaluation measured on the prompts of each of several teachers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from OnPolicyDistill.evaluation.heldout import HeldOut, Marks
from OnPolicyDistill.evaluation.intervals import Measured, measure, share_of
from OnPolicyDistill.runs.events import TeacherFigures
from OnPolicyDistill.runs.prompt_values import PromptValues


def figures_by_teacher(measured: Measured, held_out: HeldOut, teacher_marks: Marks) -> Measured:
    """The same evaluation with each teacher's figures; as it is where there is but one.

    `teacher_marks` say which prompts their teachers answer rightly, in the order of the prompts.
    """
    names = dict.fromkeys(prompt.teacher for prompt in held_out.prompts)
    if not any(names):
        return measured
    figures = []
    for name in sorted(names):
        places = [n for n, prompt in enumerate(held_out.prompts) if prompt.teacher == name]
        own = measure(_values_of(measured.values, places), held_out.seed)
        marks = tuple(teacher_marks[place] for place in places) if teacher_marks else ()
        is_marked = any(mark is not None for mark in marks)
        figures.append(
            TeacherFigures(
                name=name,
                num_prompts=len(places),
                metrics=own.metrics,
                intervals=own.intervals,
                teacher_accuracy=share_of(marks)[0] if is_marked else None,
            )
        )
    return replace(measured, by_teacher=tuple(figures))


def _values_of(values: PromptValues, places: Sequence[int]) -> PromptValues:
    """The values of some prompts; shares that count none of them are left out."""
    shares = {key: tuple(marks[n] for n in places) for key, marks in values.shares.items()}
    return PromptValues(
        prompts=tuple(values.prompts[n] for n in places),
        tokens=tuple(values.tokens[n] for n in places),
        token_sums={key: tuple(s[n] for n in places) for key, s in values.token_sums.items()},
        shares={key: marks for key, marks in shares.items() if any(m is not None for m in marks)},
    )
