"""A run folder tells its state, and only one process works on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from OnPolicyDistill.config import OnPolicyConfig, PromptDistillationConfig, SftConfig
from OnPolicyDistill.errors import ConfigError, InputError, RunError
from OnPolicyDistill.runs.directory import (
    Control,
    RunDirectory,
    RunState,
    Worker,
    config_hash,
    create_run,
    default_workspace,
    find_run,
    list_runs,
)
from OnPolicyDistill.runs.events import (
    EventBase,
    PhaseChanged,
    RunFailed,
    RunFinished,
    RunPaused,
)
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.sft import SftSettings


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return create_run(tmp_path, OnPolicyConfig())


def write_event(run: RunDirectory, event: EventBase) -> None:
    with EventWriter(run.events_file) as writer:
        writer.write(event)


def dead_worker() -> Worker:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return Worker(pid=process.pid, started=0.0)


def test_a_new_run_is_a_folder_with_its_settings(tmp_path: Path) -> None:
    config = SftConfig(sft=SftSettings(num_steps=7))
    run = create_run(tmp_path / "new" / "workspace ü", config)
    assert run.run_id.startswith("sft_")
    assert run.config() == config
    assert run.checkpoints.is_dir()
    assert run.state() == "created"
    assert run.control() == Control(action="pause")
    assert run.worker() is None


def test_a_config_that_was_replaced_by_an_alias_bomb_is_refused(run: RunDirectory) -> None:
    run.config_file.write_text("a: &a [x]\nb: *a\n")
    with pytest.raises(ConfigError, match="aliases"):
        run.config()


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (PhaseChanged(phase="loading", step=0), "interrupted"),
        (RunPaused(step=3), "paused"),
        (RunFinished(step=3, because="completed", report={}), "finished"),
        (RunFailed(step=3, code="diverged", message="No."), "failed"),
    ],
)
def test_the_state_follows_the_last_event_of_a_dead_worker(
    run: RunDirectory, event: EventBase, state: RunState
) -> None:
    write_event(run, event)
    assert run.state() == state
    run.worker_file.write_text(dead_worker().model_dump_json())
    assert run.state() == state


def test_a_worker_that_died_before_its_first_event_was_interrupted(run: RunDirectory) -> None:
    run.worker_file.write_text(dead_worker().model_dump_json())
    assert run.state() == "interrupted"


def test_a_live_worker_makes_a_run_running_whatever_the_log_says(run: RunDirectory) -> None:
    write_event(run, RunPaused(step=3))
    with run.occupied():
        assert run.state() == "running"
        worker = run.worker()
        assert worker is not None
        assert worker.pid == os.getpid()
        assert worker.is_alive()
    assert run.worker() is None
    assert run.state() == "paused"


def test_a_reused_process_number_is_not_mistaken_for_the_worker() -> None:
    me = psutil.Process()
    assert Worker(pid=me.pid, started=me.create_time()).is_alive()
    assert not Worker(pid=me.pid, started=me.create_time() - 60).is_alive()


def test_a_damaged_worker_or_control_file_counts_as_absent(run: RunDirectory) -> None:
    run.worker_file.write_text("{")
    run.control_file.write_text('{"action": "explode"}')
    assert run.worker() is None
    assert run.control().action == "pause"


def test_a_run_whose_log_ends_in_damage_broke_off(run: RunDirectory) -> None:
    write_event(run, RunPaused(step=3))
    with run.events_file.open("ab") as stream:
        stream.write(b"not an event\n")
    assert run.state() == "interrupted"


def test_a_second_worker_is_refused_until_the_first_has_left(run: RunDirectory) -> None:
    with run.occupied(), pytest.raises(RunError, match="by another process"), run.occupied():
        pass
    with run.occupied():
        assert run.state() == "running"


def test_an_old_request_does_not_reach_the_next_worker(run: RunDirectory) -> None:
    run.control_file.write_text(Control(action="finish").model_dump_json())
    with run.occupied():
        assert run.control().action == "pause"


def test_a_killed_worker_leaves_a_run_that_the_next_one_can_take(run: RunDirectory) -> None:
    program = (
        "import sys, os, signal\n"
        "from pathlib import Path\n"
        "from OnPolicyDistill.runs.directory import RunDirectory\n"
        "with RunDirectory(Path(sys.argv[1])).occupied():\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(run.path)], check=False)
    assert run.worker() is not None
    assert run.state() == "interrupted"
    with run.occupied():
        assert run.state() == "running"


def test_runs_are_listed_newest_first_whatever_their_method(tmp_path: Path) -> None:
    for name in (
        "distill_20260101_000000_aaaa",
        "sft_20270101_000000_bbbb",
        "distill_20250101_000000_cccc",
    ):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text("sft: {}")
    (tmp_path / "runs" / "not_a_run").mkdir()
    (tmp_path / "runs" / "stray.txt").write_text("")
    assert [run.run_id[-4:] for run in list_runs(tmp_path)] == ["bbbb", "aaaa", "cccc"]
    assert list_runs(tmp_path / "absent") == []


def test_a_run_is_found_by_a_beginning_that_only_it_has(tmp_path: Path) -> None:
    workspace = tmp_path / "Work"
    for name in ("distill_1", "distill_12", "sft_3"):
        (workspace / "runs" / name).mkdir(parents=True)
        (workspace / "runs" / name / "config.yaml").write_text("sft: {}")
    assert find_run(workspace, "sft").run_id == "sft_3"
    assert find_run(workspace, "distill_1").run_id == "distill_1"
    with pytest.raises(InputError, match=r"More than one run .2. in .*Work matches 'distill'"):
        find_run(workspace, "distill")
    with pytest.raises(InputError, match=r"No run in .*Work matches 'grpo'"):
        find_run(workspace, "grpo")
    with pytest.raises(InputError, match=r"\(3\)"):
        find_run(workspace, "")


def test_the_workspace_comes_from_the_environment_when_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPD_WORKSPACE", str(tmp_path))
    assert default_workspace() == tmp_path
    monkeypatch.delenv("OPD_WORKSPACE")
    assert default_workspace().name == "OnPolicyDistill"


def test_the_config_hash_knows_every_setting_but_the_name() -> None:
    plain = OnPolicyConfig()
    named = OnPolicyConfig(distillation=DistillationSettings(run_name="a name"))
    other = OnPolicyConfig(distillation=DistillationSettings(seed=1))
    assert config_hash(plain) == config_hash(named)
    assert config_hash(plain) != config_hash(other)
    assert config_hash(plain) != config_hash(SftConfig())


def test_settings_that_runs_did_not_have_leave_their_hash_alone() -> None:
    # Written by the version before num_epochs and warmup_ratio were there.
    assert config_hash(OnPolicyConfig()) == "bf8f0d1fde7b349d"
    # The same name is as old as its block in one method, and newer in another.
    assert config_hash(PromptDistillationConfig()) == "6af699174d5c2eae"
    weight = PromptDistillationSettings(teacher_weight=0.25)
    assert config_hash(PromptDistillationConfig(prompt_distillation=weight)) != "6af699174d5c2eae"
    # Inside a block of the block as well, whatever else there was changed.
    rank = {"distillation": {"lora": {"rank": 4}}}
    assert config_hash(OnPolicyConfig.model_validate(rank)) == "3ba51021152c51a9"
    experts = {"distillation": {"lora": {"experts": True}}}
    assert config_hash(OnPolicyConfig.model_validate(experts)) != "bf8f0d1fde7b349d"
    epochs = OnPolicyConfig(distillation=DistillationSettings(num_epochs=1000))
    assert config_hash(epochs) != config_hash(OnPolicyConfig())
