"""Forecasts corrected by what finished runs of this machine measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.planning.calibration import MOST_RUNS, NOTHING_LEARNED, Calibration, calibrate
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.planning.starting import forecast_of, kept_forecast
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import RunFinished, RunStarted, StepFinished
from OnPolicyDistill.runs.forecast import RunForecast, write_forecast
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.runs.reporting import describe_machine

CONFIG = parse_config(
    {"distillation": {"student_model": "qwen2.5-0.5b", "teacher_model": "qwen2.5-1.5b"}}
)
FORECAST = RunForecast(
    chip="cpu", preparing_seconds=1, step_seconds=16, evaluation_seconds=9, needed_gb=2,
    sampling_seconds=10, scoring_seconds=2, learning_seconds=4, prompt_tokens=100,
    completion_tokens=300,
)  # fmt: skip


def run_of(
    workspace: Path,
    factor: float = 1.0,
    tokens: float = 300,
    num_steps: int = 12,
    finished: bool = True,
    **machine: object,
) -> RunDirectory:
    """A run whose phases took `factor` times what was forecast for completions of a length."""
    run = create_run(workspace, CONFIG)
    write_forecast(run, FORECAST)
    read = (100 + tokens) / 400
    metrics = {
        "sampling_seconds": factor * 10 * tokens / 300,
        "scoring_seconds": factor * 2 * read,
        "learning_seconds": factor * 4 * read,
        "completion_tokens": tokens,
    }
    with EventWriter(run.events_file) as writer:
        here = describe_machine().model_copy(update=machine)
        writer.write(
            RunStarted(
                run_id=run.run_id, method="on_policy", num_steps=9, config_hash="a", machine=here
            )
        )
        for step in range(1, num_steps + 1):
            writer.write(StepFinished(step=step, metrics=metrics))
        if finished:
            writer.write(RunFinished(step=num_steps, because="completed", report={}))
    return run


def test_a_workspace_without_runs_teaches_nothing(tmp_path: Path) -> None:
    assert calibrate(tmp_path) == NOTHING_LEARNED
    assert plan_run(CONFIG, workspace=tmp_path).calibration.learned_from == ()


def test_what_runs_measured_counts_more_with_every_run(tmp_path: Path) -> None:
    found = []
    for _ in range(3):
        run_of(tmp_path, factor=2.0)
        found.append(calibrate(tmp_path).sampling)
    assert found == pytest.approx([2**0.5, 2 ** (2 / 3), 2**0.75], rel=0.001)


def test_one_odd_run_does_not_decide(tmp_path: Path) -> None:
    for factor in (1.2, 1.2, 1.2, 30.0):
        run_of(tmp_path, factor=factor)
    assert calibrate(tmp_path).learning == pytest.approx(1.2**0.8, rel=0.001)


def test_short_completions_are_not_taken_for_a_fast_machine(tmp_path: Path) -> None:
    run_of(tmp_path, tokens=30)
    learned = calibrate(tmp_path)
    assert (learned.sampling, learned.scoring, learned.learning) == (1, 1, 1)


@pytest.mark.parametrize(
    "other",
    [
        {"processor": "Apple M1"},
        {"memory_gb": 1.0},
    ],
)
def test_runs_of_another_machine_teach_nothing(tmp_path: Path, other: dict[str, object]) -> None:
    run_of(tmp_path, factor=3.0, **other)
    assert calibrate(tmp_path) == NOTHING_LEARNED


def test_runs_that_are_not_finished_or_too_short_teach_nothing(tmp_path: Path) -> None:
    run_of(tmp_path, factor=3.0, finished=False)
    run_of(tmp_path, factor=3.0, num_steps=3)
    assert calibrate(tmp_path) == NOTHING_LEARNED


def test_damaged_and_empty_runs_are_passed_over(tmp_path: Path) -> None:
    run_of(tmp_path).events_file.write_bytes(b"{\n\xff\n")
    run_of(tmp_path).events_file.unlink()
    (run_of(tmp_path).path / "forecast.json").write_text("{}")
    assert calibrate(tmp_path) == NOTHING_LEARNED


def test_only_the_newest_runs_are_read(tmp_path: Path) -> None:
    for _ in range(MOST_RUNS + 2):
        run_of(tmp_path, num_steps=5)
    assert len(calibrate(tmp_path).learned_from) == MOST_RUNS


def test_a_plan_for_this_machine_says_what_it_learned_from(tmp_path: Path) -> None:
    before = plan_run(CONFIG, workspace=tmp_path)
    run = run_of(tmp_path, factor=2.0)
    after = plan_run(CONFIG, workspace=tmp_path)
    assert after.calibration.learned_from == (run.run_id,)
    assert after.step.sampling == pytest.approx(2**0.5 * before.step.sampling, rel=0.01)
    assert after.step.evaluation == pytest.approx(2**0.5 * before.step.evaluation, rel=0.01)
    assert after.seconds > before.seconds
    assert any("one finished run on this machine" in text for text in after.assumptions)
    other = plan_run(CONFIG, 128, "m4-max", tmp_path)
    assert other.calibration == NOTHING_LEARNED


def test_a_forecast_is_kept_uncorrected_so_that_corrections_do_not_pile_up(tmp_path: Path) -> None:
    plain = forecast_of(CONFIG, tmp_path)
    run_of(tmp_path, factor=3.0)
    kept = kept_forecast(create_run(tmp_path, CONFIG))
    assert plain is not None
    assert kept is not None
    assert kept.sampling_seconds == pytest.approx(plain.sampling_seconds, rel=0.01)
    assert kept.step_seconds > plain.step_seconds


def test_what_was_learned_is_told_in_one_sentence() -> None:
    learned = Calibration(learned_from=("a", "b"), sampling=1.25)
    assert learned.in_words == (
        "Corrected by what 2 finished runs on this machine measured: sampling 1.25 times, "
        "scoring 1.00 times, learning 1.00 times."
    )
