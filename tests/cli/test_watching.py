"""The parent of a run in a terminal: signals go to the child once, and its end is explained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from OnPolicyDistill.cli import watching
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.gpu import WATCHED_VARIABLE
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import RunFailed
from OnPolicyDistill.runs.log import last_event, read_events

FAKE_WORKER = Path(__file__).parents[1] / "backend" / "fake_worker.py"
PARENT = f"""
import sys
from pathlib import Path
from OnPolicyDistill.cli import watching
from OnPolicyDistill.runs.directory import RunDirectory
watching.COMMAND = (sys.executable, {str(FAKE_WORKER)!r})
run = RunDirectory(Path(sys.argv[1]))
workspace = str(run.path.parent.parent)
sys.exit(watching.watch(run, ["train", "--run", run.run_id, "--workspace", workspace]))
"""


def make_run(workspace: Path, script: str) -> RunDirectory:
    return create_run(workspace, parse_config({"distillation": {"run_name": script}}))


def start(run: RunDirectory) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, str(run.path)], stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def until_step(run: RunDirectory, parent: subprocess.Popen[str], step: int) -> None:
    deadline = time.monotonic() + 60
    while not any(e.kind == "step_finished" and e.step >= step for e in events(run)):
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def events(run: RunDirectory) -> list:
    return list(read_events(run.events_file))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_parent_pauses_the_run(tmp_path: Path, number: signal.Signals) -> None:
    run = make_run(tmp_path, "steps=2000 pause=0.02")
    parent = start(run)
    until_step(run, parent, 1)
    parent.send_signal(number)
    parent.communicate(timeout=60)
    assert parent.returncode == 130
    assert run.state() == "paused"


def test_a_suspended_parent_suspends_its_child_and_both_go_on(tmp_path: Path) -> None:
    run = make_run(tmp_path, "steps=2000 pause=0.02")
    parent = start(run)
    until_step(run, parent, 1)
    worker = run.worker()
    assert worker is not None
    assert os.getpgid(worker.pid) == worker.pid
    parent.send_signal(signal.SIGTSTP)
    os.waitpid(parent.pid, os.WUNTRACED)
    stopped_at = len(events(run))
    time.sleep(0.3)
    assert len(events(run)) == stopped_at
    parent.send_signal(signal.SIGCONT)
    until_step(run, parent, stopped_at)
    parent.terminate()
    parent.communicate(timeout=60)
    assert run.state() == "paused"


@pytest.mark.parametrize("how", ["watchdog", "stream"])
def test_three_tries_in_vain_end_in_words(tmp_path: Path, how: str) -> None:
    run = make_run(tmp_path, f"steps=6 die={how}@1 times=99")
    parent = start(run)
    _, err = parent.communicate(timeout=90)
    assert parent.returncode == 1
    assert "taken up again 3 times in vain. Let the display sleep" in err
    assert [event.kind for event in events(run)].count("run_resumed") == 3
    failed = last_event(run.events_file)
    assert isinstance(failed, RunFailed)
    assert failed.code == "gpu_watchdog"


def test_a_child_that_was_killed_is_named_with_the_way_on(tmp_path: Path) -> None:
    run = make_run(tmp_path, "steps=6 die=kill@3")
    parent = start(run)
    _, err = parent.communicate(timeout=60)
    assert parent.returncode == 1
    assert "ended by SIGKILL. Go on with: opd resume 'steps=6 die=kill@3'" in err


def test_a_failure_of_its_own_keeps_the_childs_exit_code(tmp_path: Path) -> None:
    run = make_run(tmp_path, "steps=6 die=exit@3")
    parent = start(run)
    parent.communicate(timeout=60)
    assert parent.returncode == 7


def test_only_a_mac_needs_a_parent_and_a_child_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WATCHED_VARIABLE, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert not watching.is_needed()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert watching.is_needed()
    monkeypatch.setenv(WATCHED_VARIABLE, "1")
    assert not watching.is_needed()
