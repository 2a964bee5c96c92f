"""A run from the command line: refused in words, trained, paused, resumed, reported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from OnPolicyDistill.cli.training import choose_checkpoint, refuse_finished
from OnPolicyDistill.config import OnPolicyConfig, load_config
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run, list_runs, run_of
from OnPolicyDistill.runs.events import FinishedBecause, RunFinished
from OnPolicyDistill.runs.forecast import read_forecast
from OnPolicyDistill.runs.log import EventWriter, read_events
from OnPolicyDistill.trainers.on_policy import train

if TYPE_CHECKING:
    from tests.cli.conftest import Opd


def only_run(workspace: Path) -> RunDirectory:
    (run,) = list_runs(workspace)
    return run


def test_a_run_is_trained_and_reported(opd: Opd, workspace: Path, pair: Path) -> None:
    outcome = opd("train", str(pair / "config.yaml"), "--name", "first", "--set", "lora.rank=3")
    assert outcome.exit_code == 0
    run = only_run(workspace)
    config = run.config()
    assert isinstance(config, OnPolicyConfig)
    assert (config.distillation.run_name, config.distillation.lora.rank) == ("first", 3)
    assert run.state() == "finished"
    assert "3 of 3 steps, completed" in outcome.out
    assert "Proof of learning: 10 of 10 checks passed." in outcome.err
    assert f"Report, plots and checkpoints are in {run.path}" in outcome.err
    for name in ("report.txt", "report.png", "report.svg", "events.jsonl", "rollouts.jsonl"):
        assert (run.path / name).stat().st_size > 0
    log = run.log_file.read_text(encoding="utf-8")
    assert "Held out at step 0: reverse KL" in log
    assert "Finished at step 3: completed." in log


def test_max_steps_ends_a_run_early_whatever_its_config_says(
    opd: Opd, workspace: Path, pair: Path
) -> None:
    outcome = opd("train", str(pair / "config.yaml"), "--max-steps", "1", "--set", "num_epochs=9")
    assert outcome.exit_code == 0
    assert "1 of 1 steps, completed" in outcome.out
    assert opd("train", "--run", only_run(workspace).run_id, "--max-steps", "1").exit_code == 2


def test_a_run_whose_folder_exists_is_started_in_it(opd: Opd, workspace: Path, pair: Path) -> None:
    run = create_run(workspace, load_config(pair / "config.yaml"))
    outcome = opd("train", "--run", run.run_id, "--workspace", str(workspace))
    assert outcome.exit_code == 0
    assert run.state() == "finished"
    again = opd("train", "--run", run.run_id)
    assert again.exit_code == 2
    assert f"is finished. Use: opd resume {run.run_id}" in again.err
    both = opd("train", str(pair / "config.yaml"), "--run", run.run_id)
    assert both.exit_code == 2
    assert "--run takes the settings of the run's folder" in both.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "num_steps=0"], "num_steps"),
        (["--validation", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--set", "validation_prompts=null"], "No held-out prompts are named"),
        (["--set", "prompts=null"], "No training prompts are named"),
        (["--teacher", "nothing-like-it"], "is not on this machine"),
        (["--set", "student_adapter=nowhere"], "nowhere"),
    ],
)
def test_what_cannot_work_is_refused_before_a_run_exists(
    opd: Opd, workspace: Path, pair: Path, arguments: list[str], sentence: str
) -> None:
    outcome = opd("train", str(pair / "config.yaml"), *arguments)
    assert outcome.exit_code == 2
    assert sentence in outcome.err
    assert outcome.err.count("\n") == 1
    assert list_runs(workspace) == []


def test_a_broken_prompt_file_is_refused_with_its_line(
    opd: Opd, workspace: Path, pair: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"prompt": "a"}\n{"prompt": 3}\n', encoding="utf-8")
    outcome = opd("train", str(pair / "config.yaml"), "--prompts", str(broken))
    assert outcome.exit_code == 2
    assert "broken.jsonl, line 2" in outcome.err
    assert list_runs(workspace) == []


def test_an_interrupt_pauses_a_run_with_a_checkpoint(opd: Opd, workspace: Path, pair: Path) -> None:
    command = [sys.executable, "-m", "OnPolicyDistill", "train", str(pair / "config.yaml")]
    settings = ["--set", "num_steps=100000", "--set", "checkpoint_every=100000"]
    worker = subprocess.Popen(
        [*command, *settings, "--set", "eval_every=100000", "--workspace", str(workspace)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    run = wait_for_steps(workspace, worker)
    worker.send_signal(signal.SIGINT)
    _, err = worker.communicate(timeout=60)
    assert worker.returncode == 130
    (reached,) = [int(path.name) for path in run.checkpoints.iterdir() if path.name.isdigit()]
    assert err.splitlines()[-1] == (
        f"opd: Run {run.run_id} is paused at step {reached}. Go on with: opd resume {run.run_id}"
    )
    assert run.state() == "paused"


def test_a_failure_gives_its_reason_once_on_the_terminal_and_in_the_log(
    opd: Opd, workspace: Path, pair: Path
) -> None:
    outcome = opd("train", str(pair / "config.yaml"), "--student", str(pair / "teacher"))
    assert outcome.exit_code == 1
    *_, short, reason = outcome.err.splitlines()
    assert short == "Failed at step 0."
    assert reason.startswith("opd: The proof of learning failed")
    assert outcome.err.count("The proof of learning failed") == 1
    log = only_run(workspace).log_file.read_text(encoding="utf-8")
    assert log.count("Failed at step 0: The proof of learning failed") == 1


def wait_for_steps(workspace: Path, worker: subprocess.Popen[str]) -> RunDirectory:
    """Return the worker's run once it has taken a step."""
    until = time.monotonic() + 60
    while time.monotonic() < until and worker.poll() is None:
        for run in list_runs(workspace):
            if any(event.kind == "step_finished" for event in read_events(run.events_file)):
                return run
        time.sleep(0.05)
    pytest.fail(f"no step was taken: {worker.communicate(timeout=1)}")


def contents_of(run: RunDirectory) -> dict[str, bytes]:
    files = (path for path in run.path.rglob("*") if path.is_file())
    return {str(path.relative_to(run.path)): path.read_bytes() for path in files}


def test_a_finished_run_goes_on_only_from_a_checkpoint_that_is_named(
    opd: Opd, workspace: Path, pair: Path
) -> None:
    run = create_run(workspace, load_config(pair / "config.yaml"))
    train(run)
    finished = opd("resume", run.run_id)
    assert finished.exit_code == 2
    assert "is finished" in finished.err
    missing = opd("resume", run.run_id, "--from", "77")
    assert missing.exit_code == 2
    assert "has no checkpoint 77. It has: 000002, 000003." in missing.err
    kept = contents_of(run)
    outcome = opd("resume", run.run_id, "--from", "2", "--json")
    assert outcome.exit_code == 0
    assert "Goes on from step 2." in outcome.err
    result = json.loads(outcome.out)
    assert result["run_id"] != run.run_id
    assert f"a new one, {result['run_id']}." in outcome.err
    assert contents_of(run) == kept, "the run itself stays as it is"
    made = run_of(workspace, result["run_id"])
    weights = "checkpoints/000003/adapters.safetensors"
    same = (made.path / weights).read_bytes() == (run.path / weights).read_bytes()
    assert same, "it takes the same steps as the run took"
    assert (result["state"], result["because"]) == ("finished", "completed")
    assert result["report"]["after_eval_reverse_kl"] > 0
    assert (Path(result["adapter_path"]) / "adapters.safetensors").is_file()


@pytest.fixture
def with_checkpoints(tmp_path: Path) -> RunDirectory:
    run = create_run(tmp_path, OnPolicyConfig())
    for step in (5, 10):
        state = TrainingState(step=step, config_hash="a", seed=0, data_cursor=0, num_tokens=0)
        saved = save_checkpoint(run, state, lambda folder: None)
        if step == 5:
            point(run, "best", saved)
    return run


@pytest.mark.parametrize(
    ("name", "step"), [("5", 5), ("000005", 5), ("best", 5), ("last", 10), ("10", 10)]
)
def test_a_checkpoint_is_chosen_by_step_or_pointer(
    with_checkpoints: RunDirectory, name: str, step: int
) -> None:
    assert int(choose_checkpoint(with_checkpoints, name).name) == step


def test_a_checkpoint_is_chosen_by_folder_if_it_is_the_runs_own(
    with_checkpoints: RunDirectory, tmp_path: Path
) -> None:
    folder = with_checkpoints.checkpoints / "000010"
    assert choose_checkpoint(with_checkpoints, str(folder)) == folder
    for name in (str(tmp_path), "7", "worst"):
        with pytest.raises(InputError, match="It has: 000005, 000010"):
            choose_checkpoint(with_checkpoints, name)


@pytest.mark.parametrize(
    ("because", "refused"), [("completed", True), ("plateau", True), ("stopped", False)]
)
def test_only_a_run_that_the_user_ended_is_not_finished_for_good(
    tmp_path: Path, because: FinishedBecause, refused: bool
) -> None:
    run = create_run(tmp_path, OnPolicyConfig())
    with EventWriter(run.events_file) as writer:
        writer.write(RunFinished(step=0, because=because, report={}))
    with pytest.raises(InputError) if refused else nullcontext():
        refuse_finished(run)


NEEDS = "OnPolicyDistill.planning.free_memory.available_bytes"


@pytest.mark.parametrize("command", ["train", "resume", "demo"])
def test_what_needs_more_memory_than_is_free_is_refused_unless_it_shall_start_anyway(
    command: str, opd: Opd, workspace: Path, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(workspace, load_config(pair / "config.yaml"))
    arguments = {"train": [str(pair / "config.yaml")], "resume": [run.run_id], "demo": []}
    monkeypatch.setattr(NEEDS, lambda: 50_000_000)
    outcome = opd(command, *arguments[command])
    assert outcome.exit_code == 2
    assert "0.1 GB are free now" in outcome.err
    assert "or start with --anyway" in outcome.err
    assert list_runs(workspace) == [run]
    assert run.state() == "created"


def test_a_run_starts_anyway_with_a_warning(
    opd: Opd, workspace: Path, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NEEDS, lambda: 50_000_000)
    outcome = opd("train", str(pair / "config.yaml"), "--anyway")
    assert outcome.exit_code == 0
    assert "0.1 GB are free now" in outcome.err
    run = only_run(workspace)
    assert run.state() == "finished"
    forecast = read_forecast(run)
    assert forecast is not None
    assert forecast.needed_gb > 0.05


def test_a_run_of_an_existing_folder_was_judged_by_whoever_made_it(
    opd: Opd, workspace: Path, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = create_run(workspace, load_config(pair / "config.yaml"))
    monkeypatch.setattr(NEEDS, lambda: 50_000_000)
    assert opd("train", "--run", run.run_id).exit_code == 0
