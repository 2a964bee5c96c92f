"""A log folded line by line: what its newest words say."""

from __future__ import annotations

from backend.history.digest import Digest
from OnPolicyDistill.runs.events import (
    EvaluationFinished,
    EventBase,
    Machine,
    PhaseChanged,
    RunResumed,
    RunStarted,
    StepFinished,
)

MACHINE = Machine(platform="t", processor="t", memory_gb=1, python="3", mlx="0", mlx_lm="0")


def started(num_steps: int) -> RunStarted:
    return RunStarted(
        run_id="sft_1", method="sft", num_steps=num_steps, config_hash="a", machine=MACHINE
    )


def digested(*events: EventBase) -> Digest:
    digest = Digest()
    for seq, event in enumerate(events):
        digest.feed(event.model_copy(update={"seq": seq}).model_dump_json().encode())
    return digest


def steps_after(*events: EventBase) -> int | None:
    return digested(*events).facts.num_steps


def test_the_number_of_steps_is_the_newest_that_the_run_has_said() -> None:
    known, later = started(40), PhaseChanged(phase="loading", step=0, num_steps=12)
    learning = PhaseChanged(phase="learning", step=0)
    assert steps_after(known, learning) == 40
    assert steps_after(known, later, learning) == 12


def test_a_run_whose_rows_decide_has_no_number_of_steps_yet() -> None:
    assert steps_after(started(0)) is None


def test_a_step_ends_the_phase_before_it() -> None:
    evaluating = PhaseChanged(phase="evaluating", step=0, detail="64 held-out prompts.")
    assert digested(started(9), evaluating).facts.phase == "evaluating"
    facts = digested(started(9), evaluating, StepFinished(step=1, metrics={})).facts
    assert (facts.phase, facts.phase_detail) == ("learning", "")


def evaluation(step: int, kl: float, improved: bool) -> EvaluationFinished:
    return EvaluationFinished(
        step=step,
        metrics={"eval_reverse_kl": kl},
        intervals={"eval_reverse_kl": (kl - 0.1, kl + 0.2)},
        num_prompts=64,
        is_best=True,
        improved=improved,
    )


def test_intervals_follow_their_metric_also_when_a_resume_undoes_it() -> None:
    before, later = evaluation(0, 2.0, True), evaluation(10, 1.0, True)
    digest = digested(started(9), before, later, RunResumed(step=5, machine=MACHINE))
    assert digest.series["eval_reverse_kl.low"].at(0) == 1.9
    assert digest.series["eval_reverse_kl.high"].at(0) == 2.2
    assert digest.series["eval_reverse_kl.low"].at(10) is None
    assert digest.facts.num_held_out == 64


def test_best_moves_to_equals_and_back_when_they_are_undone() -> None:
    events = (started(9), evaluation(0, 2.0, True), evaluation(10, 2.0, False))
    facts = digested(*events).facts
    assert facts.best_step == 10
    assert [mark.text for mark in facts.marks] == ["best so far", "as good as the best so far"]
    later = evaluation(20, 2.0, False)
    assert digested(*events, later, RunResumed(step=15, machine=MACHINE)).facts.best_step == 10
