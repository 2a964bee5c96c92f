"""Alarms follow from metrics alone."""

from __future__ import annotations

import pytest

from OnPolicyDistill.training.alarms import (
    WINDOW_STEPS,
    Metrics,
    never_stops_alarm,
    plateau_alarm,
    remember,
    reward_alarm,
    step_alarms,
)

CALM = {"truncated_share": 0.0, "completion_tokens": 20.0, "entropy": 0.5, "divergence": 1.0}


def codes(first: dict[str, float], last: dict[str, float]) -> list[str]:
    steps: list[Metrics] = [{**CALM, **first}] * WINDOW_STEPS + [{**CALM, **last}] * WINDOW_STEPS
    return [alarm.code for alarm in step_alarms(steps, 64)]


def test_a_calm_run_gives_no_alarm() -> None:
    assert codes({}, {"divergence": 0.2}) == []


def test_an_evaluation_of_which_no_completion_ends_is_told() -> None:
    alarm = never_stops_alarm({"eval_truncated_share": 1.0})
    assert alarm is not None
    assert alarm.code == "never_stops"
    assert "eos_token_id" in alarm.action


@pytest.mark.parametrize("measured", [{}, {"eval_truncated_share": 0.99}])
def test_one_completion_that_ends_is_enough(measured: dict[str, float]) -> None:
    assert never_stops_alarm(measured) is None


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ({"truncated_share": 0.21}, "truncated"),
        ({"completion_tokens": 41.0}, "length_explosion"),
        ({"entropy": 0.04}, "entropy_collapse"),
        ({"divergence": 1.6}, "divergence"),
    ],
)
def test_each_alarm_is_given_for_its_reason_alone(last: dict[str, float], code: str) -> None:
    assert codes({}, last) == [code]


@pytest.mark.parametrize(
    "last", [{"truncated_share": 0.2}, {"completion_tokens": 40.0}, {"divergence": 1.5}]
)
def test_at_its_limit_an_alarm_is_silent(last: dict[str, float]) -> None:
    assert codes({}, last) == []


def test_a_student_as_sure_as_the_teacher_it_comes_close_to_has_not_collapsed() -> None:
    assert codes({}, {"entropy": 0.01, "divergence": 0.1}) == []


def test_short_completions_may_double() -> None:
    assert codes({"completion_tokens": 8.0}, {"completion_tokens": 30.0}) == []


def test_before_two_windows_are_full_nothing_is_compared() -> None:
    steps: list[Metrics] = [CALM] * WINDOW_STEPS + [{**CALM, "divergence": 9.0}]
    assert step_alarms(steps, 64) == ()


def test_only_the_first_and_the_last_window_are_remembered() -> None:
    steps: list[Metrics] = []
    for step in range(50):
        remember(steps, {"loss": float(step)})
    kept = [*range(WINDOW_STEPS), *range(50 - WINDOW_STEPS, 50)]
    assert [metrics["loss"] for metrics in steps] == kept


def test_three_evaluations_that_bring_nothing_are_a_plateau() -> None:
    assert plateau_alarm(2, "eval_reverse_kl", 1.0) is None
    alarm = plateau_alarm(3, "eval_reverse_kl", 1.0)
    assert alarm is not None
    assert alarm.code == "plateau"
    assert "Reverse KL is 1.0000 nats/token" in alarm.message


def test_a_plateau_is_told_in_the_unit_of_its_metric() -> None:
    alarm = plateau_alarm(3, "eval_accuracy", 0.5)
    assert alarm is not None
    assert alarm.message.endswith("Task accuracy is 50.0 %.")


REWARDED = {"reward": 0.5, "reward_std": 0.4, "dead_share": 0.2}


def of_rewards(last: dict[str, float]) -> list[str]:
    calm = {key: value for key, value in CALM.items() if key != "divergence"} | REWARDED
    steps: list[Metrics] = [calm] * WINDOW_STEPS + [{**calm, **last}] * WINDOW_STEPS
    return [alarm.code for alarm in step_alarms(steps, 64)]


@pytest.mark.parametrize(
    ("last", "codes"),
    [
        ({}, []),
        ({"dead_share": 0.95}, ["dead_groups"]),
        ({"dead_share": 0.85}, []),
        ({"entropy": 0.04}, ["entropy_collapse"]),
        ({"entropy": 0.04, "reward": 0.9}, []),
        ({"completion_tokens": 60.0}, ["length_explosion"]),
    ],
)
def test_a_rewarded_student_has_alarms_of_its_own(last: dict[str, float], codes: list[str]) -> None:
    assert of_rewards(last) == codes


@pytest.mark.parametrize(
    ("reward", "now", "is_raised"),
    [(0.8, 0.4, True), (0.8, 0.3, True), (0.8, 0.41, False), (0.65, 0.3, False)],
)
def test_a_reward_that_rises_without_accuracy_is_no_progress(
    reward: float, now: float, is_raised: bool
) -> None:
    last = {**REWARDED, "reward": reward}
    steps: list[Metrics] = [REWARDED] * WINDOW_STEPS + [last] * WINDOW_STEPS
    assert (reward_alarm(steps, 0.4, now) is not None) == is_raised


def test_what_a_student_is_told_fits_its_method() -> None:
    for beside, words in (({}, "teacher"), (REWARDED, "reward")):
        calm = {key: value for key, value in CALM.items() if key != "divergence"} | beside
        last = {**calm, "entropy": 0.01, "completion_tokens": 99.0}
        steps: list[Metrics] = [calm] * WINDOW_STEPS + [last] * WINDOW_STEPS
        found = {alarm.code: alarm for alarm in step_alarms(steps, 64)}
        assert words in found["entropy_collapse"].message
        assert words in found["length_explosion"].action
