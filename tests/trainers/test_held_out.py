"""Held-out figures of a run: what they are taken on, how sure they are, and which is best."""

import json
from pathlib import Path
from typing import Protocol

import pytest

from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.runs.checkpoints import last_checkpoint, list_checkpoints, pointed, read_state
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import (
    EvaluationFinished,
    Event,
    PhaseChanged,
    RunFinished,
    StepFinished,
)
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.prompt_values import read_values
from OnPolicyDistill.runs.reporting import StopRequest
from OnPolicyDistill.trainers.on_policy import train


class Classroom(Protocol):
    root: Path

    def create(self, **settings: object) -> RunDirectory: ...


class CrashError(Exception):
    """What an observer raises to end a run between two events."""


def evaluations(run: RunDirectory) -> list[EvaluationFinished]:
    return [e for e in read_events(run.events_file) if isinstance(e, EvaluationFinished)]


def test_accuracy_says_over_how_many_prompts_it_was_counted(classroom: Classroom) -> None:
    run = classroom.create(num_steps=1, eval_every=1, checkpoint_every=1)
    rows = [{"prompt": "half past 1", "answer": "x"}, {"prompt": "half past 2"}]
    (run.path.parent.parent / "validation.jsonl").write_text("\n".join(map(json.dumps, rows)))
    train(run)
    found = evaluations(run)
    assert [e.metrics["eval_num_graded"] for e in found] == [1, 1]
    assert {e.metrics["eval_accuracy"] for e in found} <= {0.0, 1.0}
    assert found[0].intervals["eval_accuracy"] == pytest.approx((0.0, 0.7935), abs=1e-4)


def test_every_mean_has_an_interval_and_is_that_of_the_kept_values(classroom: Classroom) -> None:
    run = classroom.create(num_steps=2, eval_every=2)
    train(run)
    first, last = evaluations(run)
    assert set(first.intervals) == set(first.metrics)
    assert first.num_prompts == 6
    for event in (first, last):
        values = read_values(run, event.step)
        for key, sums in values.token_sums.items():
            mean, (low, high) = event.metrics[key], event.intervals[key]
            assert mean == pytest.approx(sum(sums) / sum(values.tokens))
            assert low <= mean <= high, key
        assert event.metrics["eval_completion_tokens"] == pytest.approx(sum(values.tokens) / 6)
    (finished,) = [e for e in read_events(run.events_file) if isinstance(e, RunFinished)]
    assert finished.intervals["last_eval_reverse_kl"] == last.intervals["eval_reverse_kl"]
    assert finished.intervals["before_eval_reverse_kl"] == first.intervals["eval_reverse_kl"]


def test_held_out_prompts_come_from_all_over_a_sorted_file(classroom: Classroom) -> None:
    prompts = [f"half past {i % 10}" if i < 20 else f"the {i % 10} of March" for i in range(40)]
    lines = "".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts)
    (classroom.root / "validation.jsonl").write_text(lines)
    run = classroom.create(num_steps=1, eval_every=1, eval_fraction=0.5, eval_prompts=8)
    train(run)
    drawn = read_values(run, 0).prompts
    assert [place // 5 for place in drawn] == list(range(8))
    assert read_values(run, 1).prompts == drawn
    said = [e.detail for e in read_events(run.events_file) if isinstance(e, PhaseChanged)]
    assert "8 of 40 held-out prompts, drawn evenly over the file by the seed." in said


def test_distances_on_the_teachers_completions_have_names_of_their_own(
    classroom: Classroom,
) -> None:
    run = classroom.create(keep_teacher_loaded=False, fixed_rollouts=True, num_steps=2)
    train(run)
    metrics = evaluations(run)[0].metrics
    assert "eval_off_policy_reverse_kl" in metrics
    on_policy = {"eval_reverse_kl", "eval_agreement", "eval_completion_tokens"}
    assert not on_policy & metrics.keys()
    state = read_state(run.checkpoints / "last")
    assert state.first_metric == metrics["eval_off_policy_reverse_kl"]


def test_a_checkpoint_that_is_as_good_and_has_learned_more_is_best(classroom: Classroom) -> None:
    quiet = {"learning_rate": 1e-9, "num_steps": 4, "eval_every": 2, "checkpoint_every": 50}
    later, earlier = classroom.create(**quiet), classroom.create(**quiet, best_of_equals="earlier")
    for run in (later, earlier):
        train(run)
    assert [e.is_best for e in evaluations(later)] == [True, True, True]
    assert [e.improved for e in evaluations(later)] == [True, False, False]
    best = pointed(later, "best")
    assert best is not None
    assert best.name == "000004"
    assert [e.is_best for e in evaluations(earlier)] == [True, False, False]
    assert pointed(earlier, "best") is None


def test_a_resume_judges_by_the_same_values_though_checkpoints_were_pruned(
    classroom: Classroom,
) -> None:
    settings = {"num_steps": 10, "eval_every": 1, "checkpoint_every": 3, "keep_checkpoints": 1}

    def crash(event: Event) -> None:
        # The evaluation of step 8 is on disk, and no checkpoint knows it.
        if isinstance(event, EvaluationFinished) and event.step == 8:
            raise CrashError

    whole, resumed = classroom.create(**settings), classroom.create(**settings)
    train(whole)
    with pytest.raises(CrashError):
        train(resumed, crash)
    checkpoint = last_checkpoint(resumed)
    assert checkpoint is not None
    train(resumed, checkpoint=checkpoint)
    expected, found = (
        {e.step: (e.metrics, e.intervals, e.is_best, e.improved) for e in evaluations(run)}
        for run in (whole, resumed)
    )
    assert found == expected
    states = [read_state(run.checkpoints / "last") for run in (whole, resumed)]
    first, second = (state.model_copy(update={"train_seconds": 0.0}) for state in states)
    assert first == second
    names = [[path.name for path in list_checkpoints(run)] for run in (whole, resumed)]
    assert names[0] == names[1]
    assert pointed(whole, "best") is not None


def test_a_resume_from_an_earlier_checkpoint_forgets_what_it_undoes(classroom: Classroom) -> None:
    run = classroom.create(num_steps=6, eval_every=2, checkpoint_every=2)
    train(run)
    before = {step: read_values(run, step) for step in (0, 2, 4, 6)}
    train(run, checkpoint=run.checkpoints / "000002")
    assert {step: read_values(run, step) for step in (0, 2, 4, 6)} == before
    best = read_state(run.checkpoints / "last").best_step
    pointer = pointed(run, "best")
    assert pointer is not None
    assert int(pointer.name) == best


def test_best_is_pointed_at_though_a_pause_wrote_its_checkpoint_before_the_evaluation(
    classroom: Classroom,
) -> None:
    run = classroom.create(learning_rate=1e-9, num_steps=6, eval_every=3, checkpoint_every=50)
    stop = StopRequest()

    def stop_before_the_evaluation(event: Event) -> None:
        if isinstance(event, StepFinished) and event.step == 3:
            stop.set()

    with pytest.raises(StoppedError):
        train(run, stop_before_the_evaluation, stop)
    assert [e.step for e in evaluations(run)] == [0]

    def look(event: Event) -> None:
        if isinstance(event, StepFinished) and event.step == 4:
            best = pointed(run, "best")
            assert best is not None
            assert best.name == "000003"

    train(run, look, checkpoint=last_checkpoint(run))
    assert [e.step for e in evaluations(run)] == [0, 3, 6]
