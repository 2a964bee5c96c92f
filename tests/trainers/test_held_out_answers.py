"""A few held-out answers stay with a run: before, after, and the teacher's."""

import json
from pathlib import Path
from typing import Protocol

from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.held_out_answers import (
    NUM_KEPT,
    Whose,
    answered_steps,
    read_answers,
)
from OnPolicyDistill.runs.prompt_values import discard_values_after, read_values
from OnPolicyDistill.trainers.on_policy import train


class Classroom(Protocol):
    root: Path

    def create(self, **settings: object) -> RunDirectory: ...


def write_validation(classroom: Classroom, rows: list[dict[str, str]]) -> None:
    (classroom.root / "validation.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")


def test_a_run_keeps_the_first_held_out_answers_of_student_and_teacher_with_their_marks(
    classroom: Classroom,
) -> None:
    rows = [{"prompt": f"half past {n}", "answer": "x"} for n in range(NUM_KEPT + 2)]
    write_validation(classroom, rows)
    run = classroom.create(num_steps=2, eval_every=2, checkpoint_every=2)
    train(run)
    assert answered_steps(run) == [0, 2]
    places = list(read_values(run, 0).prompts[:NUM_KEPT])
    everybody: tuple[Whose, ...] = (0, 2, "teacher")
    for whose in everybody:
        kept = read_answers(run, whose)
        assert kept.is_greedy
        assert [one.index for one in kept.answers] == places
        assert {one.wanted for one in kept.answers} == {"x"}
    marks = read_values(run, 2).shares["eval_accuracy"][:NUM_KEPT]
    assert [one.mark for one in read_answers(run, 2).answers] == list(marks)


def test_prompts_without_answers_keep_what_the_student_sampled_and_no_mark(
    classroom: Classroom,
) -> None:
    write_validation(classroom, [{"prompt": f"half past {n}"} for n in range(3)])
    run = classroom.create(num_steps=1, eval_every=1, checkpoint_every=1)
    train(run)
    kept = read_answers(run, 1)
    assert not kept.is_greedy
    assert [one.mark for one in kept.answers] == [None] * 3
    assert read_answers(run, "teacher").answers == ()


def test_answers_of_undone_steps_go_with_their_figures(classroom: Classroom) -> None:
    run = classroom.create(num_steps=2, eval_every=1, checkpoint_every=1)
    train(run)
    assert answered_steps(run) == [0, 1, 2]
    discard_values_after(run, 1)
    assert answered_steps(run) == [0, 1]
