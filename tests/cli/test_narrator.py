"""Events in words, with the time that is left."""

from __future__ import annotations

import pytest

from OnPolicyDistill.cli.narrator import Narrator, describe_split, is_frequent
from OnPolicyDistill.runs.events import (
    EVENT,
    Check,
    CheckpointSaved,
    EvaluationFinished,
    Event,
    EventBase,
    Machine,
    PhaseChanged,
    RolloutSampled,
    RunFailed,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    SelfTestFinished,
    StepFinished,
    Warned,
)
from OnPolicyDistill.runs.forecast import RunForecast
from OnPolicyDistill.runs.pace import Route

MACHINE = Machine(platform="p", processor="arm64", memory_gb=1, python="3", mlx="0", mlx_lm="0")


def at(time: float, event: EventBase) -> Event:
    return EVENT.validate_python({**event.model_dump(), "time": time})


def step(number: int) -> StepFinished:
    metrics = {
        "loss": 0.5,
        "sampling_seconds": 3.0,
        "scoring_seconds": 1.0,
        "learning_seconds": 1.0,
    }
    return StepFinished(step=number, metrics=metrics)


def test_a_step_tells_its_figures_and_from_the_third_on_the_time_left() -> None:
    narrator = Narrator(Route(10))
    figures = "loss 0.5000  sampling 60 % scoring 20 % learning 20 %"
    assert narrator.tell(at(100, step(1))) == f"step 1/10  {figures}"
    assert narrator.tell(at(104, step(2))) == f"step 2/10  {figures}"
    assert narrator.tell(at(108, step(3))) == f"step 3/10  {figures}  28.0 s left"


def test_before_that_the_forecast_tells_the_time_left_and_is_named() -> None:
    forecast = RunForecast(
        chip="m4-max", preparing_seconds=60, step_seconds=5, evaluation_seconds=0, needed_gb=1
    )
    narrator = Narrator(Route(10), forecast)
    line = narrator.tell(at(100, step(1)))
    assert line is not None
    assert line.endswith("45.0 s left by forecast")


def test_the_time_left_follows_the_steps_of_this_session_only() -> None:
    narrator = Narrator(Route(100))
    for number in range(1, 5):
        narrator.tell(at(1_000 * number, step(number)))
    assert narrator.tell(at(5_000, RunResumed(step=1, machine=MACHINE))) == "Goes on from step 1."
    assert narrator.time_left is None
    for number in range(2, 60):
        narrator.tell(at(5_000 + number, step(number)))
    assert narrator.time_left is not None
    assert narrator.time_left.seconds == pytest.approx(41)


def test_an_evaluation_is_compared_with_the_first_one() -> None:
    narrator = Narrator(Route(10))
    metrics = {"eval_reverse_kl": 2.0, "eval_agreement": 0.5}
    first = narrator.tell(at(0, EvaluationFinished(step=0, metrics=metrics, is_best=True)))
    assert first == "Held out at step 0: reverse KL 2.0000, agreement 50.0 %."
    metrics = {"eval_reverse_kl": 0.5, "eval_agreement": 0.9}
    later = narrator.tell(at(1, EvaluationFinished(step=5, metrics=metrics, is_best=True)))
    assert later == (
        "Held out at step 5: reverse KL 0.5000 (-75.0 %), agreement 90.0 % (+40.0 points), "
        "the best so far."
    )


def test_phases_are_named_and_counted() -> None:
    narrator = Narrator(Route(10))
    assert narrator.tell(at(0, PhaseChanged(phase="loading", step=0, detail="Loading."))) == (
        "Loading."
    )
    counted = at(0, PhaseChanged(phase="self_test", step=0, detail="Made.", done=3, total=8))
    assert narrator.tell(counted) == "Made. 3/8"
    assert narrator.phase == "self test 3/8"
    assert narrator.tell(at(0, PhaseChanged(phase="saving", step=1, detail="Writing."))) is None
    assert narrator.phase == "saving"


def test_only_steps_and_counted_phases_are_frequent() -> None:
    assert is_frequent(at(0, step(1)))
    assert is_frequent(at(0, PhaseChanged(phase="loading", step=0, done=1, total=2)))
    assert not is_frequent(at(0, PhaseChanged(phase="loading", step=0)))


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            RunStarted(run_id="r", method="sft", num_steps=3, config_hash="a", machine=MACHINE),
            "Run r of 3 steps.",
        ),
        (
            CheckpointSaved(step=1, path="checkpoints/000001", num_bytes=2_000_000, is_best=True),
            "Wrote checkpoints/000001 (2.0 MB, best now).",
        ),
        (Warned(step=1, code="a", message="Long.", action="Cut."), "Warning: Long. Cut."),
        (RunPaused(step=4), "Paused at step 4."),
        (
            RunFailed(step=4, code="a", message="Full.", action="Free some."),
            "Failed at step 4: Full. Free some.",
        ),
        (RunFinished(step=9, because="plateau", report={}), "Finished at step 9: plateau."),
    ],
)
def test_other_events_are_one_sentence(event: EventBase, line: str) -> None:
    assert Narrator(Route(10)).tell(at(0, event)) == line


def test_rollouts_are_not_told() -> None:
    rollout = RolloutSampled(
        step=1, offset=0, prompt="p", completion="c", num_tokens=1, mean_divergence=0
    )
    assert Narrator(Route(10)).tell(at(0, rollout)) is None


def test_a_failed_proof_names_what_failed() -> None:
    checks = (
        Check(name="a", passed=True, measured=1, limit=0, claim="It differs"),
        Check(name="b", passed=False, measured=1, limit=0, claim="It learns"),
    )
    narrator = Narrator(Route(10))
    assert narrator.tell(at(0, SelfTestFinished(passed=True, checks=checks[:1]))) == (
        "Proof of learning: 1 of 1 checks passed."
    )
    assert narrator.tell(at(0, SelfTestFinished(passed=False, checks=checks))) == (
        "Proof of learning: 1 of 2 checks passed, not: It learns."
    )


def test_a_step_without_times_has_no_split() -> None:
    assert describe_split({"loss": 1.0}) == ""


def test_an_evaluation_says_how_sure_it_is_and_whether_best_only_moved_to_an_equal() -> None:
    narrator = Narrator(Route(10))
    narrator.tell(at(0, EvaluationFinished(step=0, metrics={"eval_reverse_kl": 2.0})))
    equal = EvaluationFinished(
        step=5,
        metrics={"eval_reverse_kl": 0.5},
        intervals={"eval_reverse_kl": (0.375, 0.75)},
        is_best=True,
        improved=False,
    )
    assert narrator.tell(at(1, equal)) == (
        "Held out at step 5: reverse KL 0.5000 (0.3750 to 0.7500, -75.0 %), as good as the best "
        "so far."
    )


def test_a_step_of_rewards_tells_them_and_no_loss_that_is_always_nothing() -> None:
    metrics = {"loss": 0.0, "reward": 0.5, "reward_std": 0.25, "dead_share": 0.125, "entropy": 0.3}
    line = Narrator(Route(10)).tell(StepFinished(step=1, metrics=metrics))
    assert line is not None
    assert "reward 0.5 reward_std 0.25 dead_share 12.5 % entropy 0.3000" in line
    assert "loss" not in line
