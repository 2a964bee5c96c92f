"""The time left: from what a run measured itself, and before that from its forecast.

The recorded logs are those of real training, on a clock of processor time: the machine of the
recording did other work as well, which no run can foresee.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.forecast import RunForecast
from OnPolicyDistill.runs.pace import STEPS_TO_MEASURE, Pace, Route, route_of, time_left

ROUTE = Route(num_steps=120, eval_every=20, checkpoint_every=30)
FORECAST = RunForecast(
    chip="m4-max", preparing_seconds=50, step_seconds=4, evaluation_seconds=30, needed_gb=1
)
REPLAYED = sorted((Path(__file__).parents[1] / "data" / "event_logs").glob("*.jsonl"))

# What happened: kind, step, time, phase.
Happening = tuple[str, int, float, str]


def run_of(spread: float, route: Route = ROUTE, longer: float = 1.0) -> Iterator[Happening]:
    """A run with steps of 4 s and more, its first twice as long, evaluations of 30 s and
    checkpoints of 3 s; `spread` is a step's standard deviation, `longer` how the last ones grew."""
    draw, time = random.Random(7), 1000.0
    assert route.num_steps
    assert route.eval_every
    assert route.checkpoint_every
    yield "run_started", 0, time, ""
    yield "phase_changed", 0, time, "loading"
    for step in range(route.num_steps + 1):
        if step:
            grown = 1 + (longer - 1) * step / route.num_steps
            time += max(4 * grown * draw.gauss(1, spread), 0.5) * (2 if step == 1 else 1)
            yield "step_finished", step, time, ""
        else:
            time += 40
            yield "self_test_finished", 0, time, ""
        if step % route.eval_every == 0 or step == route.num_steps:
            yield "phase_changed", step, time, "evaluating"
            time += draw.gauss(30, 1)
            yield "phase_changed", step, time - 1, "evaluating"
            yield "evaluation_finished", step, time, ""
        if step and (step % route.checkpoint_every == 0 or step == route.num_steps):
            yield "phase_changed", step, time, "saving"
            time += 3
            yield "checkpoint_saved", step, time, ""


def errors(happenings: list[Happening], route: Route, least: int) -> dict[int, float]:
    """By how much the time left was off after each step, as a share of the truth."""
    pace, end = Pace(), happenings[-1][2]
    found = {}
    for happening in happenings:
        pace.take(*happening)
        kind, step, time, _ = happening
        if kind == "step_finished" and least <= step < 0.97 * (route.num_steps or 0):
            eta = time_left(pace, route, None)
            assert eta is not None
            assert eta.source == "measured"
            found[step] = abs(eta.seconds - (end - time)) / (end - time)
    return found


def test_from_the_third_step_on_the_time_left_is_within_a_tenth() -> None:
    found = errors(list(run_of(spread=0.05)), ROUTE, STEPS_TO_MEASURE)
    assert min(found) == STEPS_TO_MEASURE
    assert max(found.values()) < 0.1


def test_steps_of_very_different_lengths_take_twenty_to_be_within_a_tenth() -> None:
    found = errors(list(run_of(spread=0.25)), ROUTE, 20)
    assert max(found.values()) < 0.1


def test_completions_that_grow_are_followed() -> None:
    found = errors(list(run_of(spread=0.05, longer=1.3)), ROUTE, 40)
    assert max(found.values()) < 0.1


def test_evaluations_count_at_their_own_time_and_not_as_slow_steps() -> None:
    rare = Route(num_steps=120, eval_every=60, checkpoint_every=120)
    found = errors(list(run_of(0.0, rare)), rare, STEPS_TO_MEASURE)
    assert max(share for step, share in found.items() if step <= 100) < 0.05


@pytest.mark.parametrize("file", REPLAYED, ids=lambda file: file.stem)
def test_recorded_runs_were_told_their_time_left_within_a_tenth(file: Path) -> None:
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    route = Route(**lines[0]["route"])
    happenings = [(it["kind"], it["step"], it["time"], it["phase"]) for it in lines[1:]]
    found = errors(happenings, route, STEPS_TO_MEASURE)
    assert len(found) > 20
    assert max(found.values()) < 0.1


def test_recorded_runs_are_there() -> None:
    assert REPLAYED


def test_before_three_steps_the_forecast_tells_and_preparing_passes() -> None:
    pace, steps = Pace(), 120 * 4
    evaluations = 7 * 30
    eta = time_left(pace, ROUTE, FORECAST)
    assert eta is not None
    assert (eta.seconds, eta.source) == (50 + steps + evaluations, "forecast")
    pace.begin(0, 100)
    pace.change("loading", 120)
    eta = time_left(pace, ROUTE, FORECAST)
    assert eta is not None
    assert eta.seconds == 30 + steps + evaluations
    assert time_left(pace, ROUTE, None) is None


def test_an_evaluation_that_is_due_now_still_counts() -> None:
    pace = Pace()
    for happening in list(run_of(spread=0.0)):
        if happening[:2] == ("phase_changed", 120):
            break
        pace.take(*happening)
    eta = time_left(pace, ROUTE, None)
    assert eta is not None
    assert eta.seconds == pytest.approx(30, abs=2)
    pace.end_evaluation(10_000)
    assert time_left(pace, ROUTE, None) is None


def test_a_session_begins_anew_but_knows_how_long_evaluations_take() -> None:
    pace = Pace()
    for happening in run_of(spread=0.0):
        pace.take(*happening)
    pace.begin(60, 50_000)
    assert time_left(pace, ROUTE, None) is None
    for number in range(1, 4):
        pace.end_step(60 + number, 50_000 + 10 * number)
    eta = time_left(pace, ROUTE, None)
    assert eta is not None
    assert eta.seconds == pytest.approx(57 * 10 + 3 * 30 + 2 * 3, abs=5)


def test_a_clock_that_was_set_back_makes_nothing_negative() -> None:
    pace = Pace()
    for number, time in enumerate((100, 104, 50, 54, 58), start=1):
        pace.end_step(number, time)
    assert min(pace.steps) == 0


def test_where_a_run_evaluates_is_read_off_its_settings() -> None:
    config = parse_config({"distillation": {"eval_every": 7, "checkpoint_every": 9}})
    assert route_of(config, 40) == Route(40, 7, 9)
    assert route_of(parse_config({"evaluation": {}}), 4) == Route(4)
    assert route_of(None, 4) == Route(4)
