"""The final report says what was learned and what it cost, from the run's folder alone."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from OnPolicyDistill.config import GrpoConfig, OnPolicyConfig, SftConfig
from OnPolicyDistill.evaluation.plot import plot_history, smooth
from OnPolicyDistill.evaluation.report import (
    describe_run,
    report_files,
    write_report,
)
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import (
    EVENT,
    Check,
    CheckpointSaved,
    EvaluationFinished,
    EventBase,
    Machine,
    RunFinished,
    RunResumed,
    RunStarted,
    SelfTestFinished,
    StepFinished,
    Warned,
)
from OnPolicyDistill.runs.history import RunHistory, fold
from OnPolicyDistill.settings.distillation import DistillationSettings

MACHINE = Machine(
    platform="macOS-15", processor="arm64", memory_gb=128, python="3.11", mlx="0", mlx_lm="0"
)
NUM_STEPS = 60


def training_events(run: RunDirectory) -> list[EventBase]:
    events: list[EventBase] = [
        RunStarted(
            run_id=run.run_id,
            method="on_policy",
            num_steps=NUM_STEPS,
            config_hash="a",
            machine=MACHINE,
        ),
        SelfTestFinished(
            passed=True,
            checks=(
                Check(
                    name="teacher_differs",
                    passed=True,
                    measured=1.2,
                    limit=0.001,
                    claim="Teacher and student disagree",
                ),
            ),
        ),
    ]
    for step in range(NUM_STEPS + 1):
        kl = 1.6 * math.exp(-step / 15) + 0.12
        if step:
            metrics = {
                "divergence": kl * (1 + 0.3 * math.sin(step * 2.1)),
                "num_tokens": 400.0,
                "step_seconds": 1.0,
                "sampling_seconds": 0.5,
                "scoring_seconds": 0.1,
                "learning_seconds": 0.4,
            }
            events.append(StepFinished(step=step, metrics=metrics))
        if step % 10 == 0:
            evaluation = {
                "eval_reverse_kl": kl,
                "eval_forward_kl": kl * 1.4,
                "eval_agreement": 0.95 - 0.3 * math.exp(-step / 15),
                "eval_top5_agreement": 0.99 - 0.1 * math.exp(-step / 15),
                "eval_accuracy": 0.9 - 0.7 * math.exp(-step / 15),
                "eval_seconds": 0.7,
            }
            if step == 0:
                evaluation["eval_teacher_accuracy"] = 0.96
            intervals = {"eval_reverse_kl": (0.9 * kl, 1.2 * kl)}
            events.append(
                EvaluationFinished(
                    step=step,
                    metrics=evaluation,
                    intervals=intervals,
                    num_prompts=64,
                    num_available=500,
                    is_best=step == 50,
                )
            )
        if step == 30:
            events.append(CheckpointSaved(step=30, path="checkpoints/000030", num_bytes=10))
            events.append(RunResumed(step=30, machine=MACHINE))
    events.append(Warned(step=40, code="long", message="Long answers.", action="Shorten them."))
    events.append(RunFinished(step=NUM_STEPS, because="completed", report={}))
    return events


def history_of(events: list[EventBase]) -> RunHistory:
    return fold(
        EVENT.validate_python({**event.model_dump(), "seq": seq, "time": float(seq)})
        for seq, event in enumerate(events)
    )


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    settings = DistillationSettings(num_steps=NUM_STEPS, run_name="tiny additions")
    run = create_run(tmp_path, OnPolicyConfig(distillation=settings))
    state = TrainingState(step=30, config_hash="a", seed=0, data_cursor=0, num_tokens=0)
    saved = save_checkpoint(run, state, lambda folder: None)
    point(run, "best", saved)
    return run


def write_log(run: RunDirectory, events: list[EventBase]) -> None:
    lines = [
        event.model_copy(update={"seq": seq, "time": float(seq)}).model_dump_json()
        for seq, event in enumerate(events)
    ]
    run.events_file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_the_text_says_what_was_learned_and_what_it_cost(run: RunDirectory) -> None:
    text = describe_run(run, history_of(training_events(run)))
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    assert "tiny additions" in text
    assert "qwen2.5-7b learns from qwen2.5-32b" in text
    assert "60 of 60 steps, completed, resumed 1 time" in text
    assert rows["Reverse KL (nats/token)"].split()[-5:] == [
        "1.7200",
        "0.1771",
        "0.1493",
        "-89.7",
        "%",
    ]
    assert rows["Task accuracy"].split()[-2:] == ["96.0", "%"]
    assert "+67.5 points" in rows["Task accuracy"]
    assert "before: step 0, after: step 50, last: step 60" in text
    assert "89 % of the way from the student to the teacher" in text
    assert "24,000 tokens learned from, 400.0 a second" in text
    assert "Proof of learning: passed, 1 of 1 checks" in text
    assert "best  checkpoints/000030" in text
    assert "step 40: Long answers. Shorten them." in text


def test_the_text_says_how_sure_it_is_and_what_best_owes_to_being_chosen(run: RunDirectory) -> None:
    lines = describe_run(run, history_of(training_events(run))).splitlines()
    (place,) = [i for i, line in enumerate(lines) if line.startswith("Reverse KL")]
    cells = re.split(" {2,}", lines[place + 1].strip())
    assert cells == ["1.5480 to 2.0640", "0.1594 to 0.2125", "0.1344 to 0.1792"]
    said = "Second lines: 95 % intervals over 64 of 500 prompts, drawn evenly over the file"
    assert any(line.startswith(said) for line in lines)
    assert any("chosen on the prompts it is measured on" in line for line in lines)


def test_intervals_are_drawn_as_bands(run: RunDirectory, tmp_path: Path) -> None:
    picture = tmp_path / "plot.svg"
    plot_history(history_of(training_events(run)), "A title", picture)
    svg = picture.read_text(encoding="utf-8")
    assert "Held-out divergence, 95 % intervals" in svg
    assert "FillBetweenPolyCollection" in svg


def test_the_report_is_written_into_the_run_as_text_and_pictures(run: RunDirectory) -> None:
    assert report_files(run) == []
    write_log(run, training_events(run))
    text = write_report(run)
    assert [file.name for file in report_files(run)] == ["report.txt", "report.png", "report.svg"]
    assert (run.path / "report.txt").read_text(encoding="utf-8") == text
    assert (run.path / "report.png").read_bytes().startswith(b"\x89PNG")
    svg = (run.path / "report.svg").read_text(encoding="utf-8")
    assert "reverse KL (student || teacher)" in svg


def test_the_same_history_gives_the_same_picture_bit_for_bit(
    run: RunDirectory, tmp_path: Path
) -> None:
    history = history_of(training_events(run))
    pictures = [tmp_path / "first.svg", tmp_path / "second.svg"]
    for picture in pictures:
        plot_history(history, "A title", picture)
    first, second = (picture.read_bytes() for picture in pictures)
    assert first == second


def test_a_run_without_events_has_a_report_too(tmp_path: Path) -> None:
    text = write_report(create_run(tmp_path, SftConfig()))
    assert "0 of 1,000 steps, not ended" in text
    assert "No evaluation on held-out data." in text


def test_a_run_of_supervised_fine_tuning_reports_its_losses(tmp_path: Path) -> None:
    run = create_run(tmp_path, SftConfig())
    events: list[EventBase] = []
    for step in range(3):
        events.append(StepFinished(step=step + 1, metrics={"loss": 2.0 - step}))
        loss = {"eval_loss": 2.0 - step / 2}
        events.append(EvaluationFinished(step=step, metrics=loss))
    write_log(run, events)
    text = write_report(run)
    assert "Held-out loss (nats/token)" in text
    assert "-50.0 %" in text
    assert "Training loss" in (run.path / "report.svg").read_text(encoding="utf-8")


def test_a_run_of_rewards_reports_them_and_how_often_it_is_right(tmp_path: Path) -> None:
    run = create_run(tmp_path, GrpoConfig())
    events: list[EventBase] = []
    for step, accuracy in ((0, 0.4), (2, 0.8)):
        events.append(StepFinished(step=step + 1, metrics={"loss": 0.0, "reward": accuracy}))
        metrics = {"eval_accuracy": accuracy, "eval_reward": accuracy + 0.1}
        events.append(EvaluationFinished(step=step, metrics=metrics))
    write_log(run, events)
    text = write_report(run)
    assert "Task accuracy" in text
    assert re.search(r"Reward +0\.5 +0\.9", text)
    picture = (run.path / "report.svg").read_text(encoding="utf-8")
    assert "Reward of rollouts" in picture
    assert "Training loss" not in picture


def test_smoothing_starts_at_the_first_value_and_follows_the_rest() -> None:
    assert smooth([3.0], weight=0.9) == pytest.approx((3.0,))
    assert smooth([2.0, 2.0, 2.0], weight=0.9) == pytest.approx((2.0, 2.0, 2.0))
    first, second = smooth([0.0, 1.0], weight=0.5)
    assert (first, second) == pytest.approx((0.0, 2 / 3))
