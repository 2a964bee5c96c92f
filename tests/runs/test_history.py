"""Folding a log: what a resume undid is gone, what happened again counts."""

from __future__ import annotations

import pytest

from OnPolicyDistill.faces import Phase
from OnPolicyDistill.runs.events import (
    EVENT,
    TORN_LINE_REPAIRED,
    CheckpointSaved,
    EvaluationFinished,
    Event,
    EventBase,
    Machine,
    PhaseChanged,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    StepFinished,
    Warned,
)
from OnPolicyDistill.runs.history import fold

MACHINE = Machine(
    platform="test", processor="arm64", memory_gb=128, python="3.11", mlx="0", mlx_lm="0"
)
STARTED = RunStarted(
    run_id="distill_1", method="on_policy", num_steps=4, config_hash="a", machine=MACHINE
)


def step(number: int, loss: float) -> StepFinished:
    return StepFinished(step=number, metrics={"loss": loss, "num_tokens": 10})


def evaluation(number: int, kl: float, is_best: bool = False) -> EvaluationFinished:
    return EvaluationFinished(step=number, metrics={"eval_reverse_kl": kl}, is_best=is_best)


def log(*timed: tuple[float, EventBase]) -> list[Event]:
    return [
        EVENT.validate_python({**event.model_dump(), "seq": seq, "time": time})
        for seq, (time, event) in enumerate(timed)
    ]


def test_an_empty_log_folds_to_nothing() -> None:
    history = fold([])
    assert history.started is None
    assert history.steps == ()
    assert history.before is history.after is history.best is history.end is None
    assert history.active_seconds == 0


def test_of_the_number_of_steps_the_newest_word_counts() -> None:
    learning = PhaseChanged(phase="learning", step=0)
    rows_known = PhaseChanged(phase="loading", step=0, num_steps=7)
    unknown = STARTED.model_copy(update={"num_steps": 0})
    assert fold(log((0, STARTED), (1, learning))).num_steps == 4
    assert fold(log((0, STARTED), (1, rows_known), (2, learning))).num_steps == 7
    assert fold(log((0, unknown), (1, learning))).num_steps is None


def test_steps_that_a_resume_undid_are_replaced_by_those_that_happened() -> None:
    history = fold(
        log(
            (0, STARTED),
            (1, evaluation(0, 2.0)),
            (2, step(1, 1.0)),
            (3, CheckpointSaved(step=1, path="checkpoints/000001", num_bytes=10)),
            (4, step(2, 0.9)),
            (5, evaluation(2, 1.5, is_best=True)),
            (6, step(3, 0.8)),
            (106, RunResumed(step=1, machine=MACHINE)),
            (107, step(2, 0.7)),
            (108, evaluation(2, 1.4, is_best=True)),
            (109, RunFinished(step=2, because="stopped", report={})),
        )
    )
    assert [(event.step, event.metrics["loss"]) for event in history.steps] == [(1, 1.0), (2, 0.7)]
    assert [event.metrics["eval_reverse_kl"] for event in history.evaluations] == [2.0, 1.4]
    assert [event.step for event in history.checkpoints] == [1]
    assert history.total("num_tokens") == 20
    assert history.resumed_at == (1,)
    assert history.active_seconds == pytest.approx(6 + 3)
    assert isinstance(history.end, RunFinished)


def test_before_after_and_best_are_told_apart() -> None:
    history = fold(
        log(
            (0, evaluation(0, 2.0, is_best=True)),
            (1, evaluation(1, 0.5, is_best=True)),
            (2, evaluation(2, 0.6)),
        )
    )
    assert history.before is not None
    assert history.best is not None
    assert history.after is not None
    assert history.last is not None
    assert (history.before.step, history.best.step, history.last.step) == (0, 1, 2)
    assert history.after is history.best, "what is exported, not what came last"


def test_a_run_that_nothing_improved_exports_its_last_checkpoint() -> None:
    history = fold(log((0, evaluation(0, 2.0, is_best=True)), (1, evaluation(1, 3.0))))
    assert history.after is not None
    assert history.after.step == 1


def test_grading_is_a_part_of_the_time() -> None:
    graded = StepFinished(step=1, metrics={"sampling_seconds": 2.0, "grading_seconds": 1.0})
    history = fold(log((0, STARTED), (5, graded)))
    assert [(part.name, part.seconds) for part in history.time_split()] == [
        ("sampling", 2.0),
        ("grading", 1.0),
        ("other", 2.0),
    ]


def test_time_outside_of_steps_goes_to_the_phase_that_the_log_names() -> None:
    def phase(name: Phase) -> PhaseChanged:
        return PhaseChanged(phase=name, step=0)

    took = StepFinished(step=1, metrics={"learning_seconds": 3.0})
    resumed = RunResumed(step=1, machine=MACHINE)
    history = fold(
        log(
            (0, STARTED), (0, phase("loading")), (2, phase("generating")), (7, phase("self_test")),
            (8, phase("evaluating")), (10, evaluation(0, 1.0)), (14, took),
            (100, resumed), (100, phase("loading")), (101, phase("evaluating")),
            (104, evaluation(1, 0.5)),
        )
    )  # fmt: skip
    assert {part.name: part.seconds for part in history.time_split()} == {
        "learning": 3.0, "loading": 4.0, "generating": 5.0, "evaluating": 5.0, "other": 1.0,
    }  # fmt: skip


def test_a_run_whose_first_evaluation_is_not_at_step_zero_has_no_before() -> None:
    assert fold(log((0, evaluation(5, 1.0)))).before is None


def test_the_gap_before_a_repaired_line_is_no_work() -> None:
    history = fold(
        log(
            (0, STARTED),
            (10, step(1, 1.0)),
            (500, Warned(step=0, code=TORN_LINE_REPAIRED, message="Cut.")),
            (501, RunResumed(step=0, machine=MACHINE)),
            (503, RunPaused(step=1)),
        )
    )
    assert history.active_seconds == pytest.approx(10 + 2)
    assert isinstance(history.end, RunPaused)


def test_a_run_that_goes_on_after_a_pause_has_no_end_yet() -> None:
    history = fold(log((0, STARTED), (1, RunPaused(step=0)), (2, step(1, 1.0))))
    assert history.end is None
