"""Commands that work for hours, on an emulated Mac: awake, synced to the medium, weighed."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from OnPolicyDistill import macos
from OnPolicyDistill.runs.checkpoints import list_checkpoints
from OnPolicyDistill.runs.directory import list_runs
from OnPolicyDistill.runs.events import StepFinished
from OnPolicyDistill.runs.log import read_events

if TYPE_CHECKING:
    from tests.cli.conftest import Opd

STARTS = ["caffeinate", "-i", "-s", "-w", str(os.getpid())]


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What the commands start on an emulated Mac whose `caffeinate` is a stand-in on PATH."""
    program = tmp_path / "caffeinate"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(macos, "is_mac", lambda: True)
    monkeypatch.setattr(macos, "_footprint", lambda _: 5_000_000_000)
    commands: list[list[str]] = []
    start = subprocess.Popen.__init__

    def noted(self: subprocess.Popen[bytes], command: list[str], **options: object) -> None:
        commands.append(command)
        start(self, command, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)
    return commands


def test_training_keeps_a_mac_awake_and_its_checkpoints_reach_the_medium(
    opd: Opd,
    workspace: Path,
    pair: Path,
    started: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    synced: set[int] = set()

    def full(descriptor: int, command: int, *_: object) -> int:
        if command == macos.F_FULLFSYNC:
            synced.add(os.fstat(descriptor).st_ino)
        return 0

    monkeypatch.setattr(fcntl, "fcntl", full)
    assert opd("train", str(pair / "config.yaml")).exit_code == 0
    assert STARTS in started
    (run,) = list_runs(workspace)
    (checkpoint, *_) = list_checkpoints(run)
    assert {file.stat().st_ino for file in checkpoint.iterdir()} <= synced
    assert run.checkpoints.stat().st_ino in synced
    assert run.events_file.stat().st_ino not in synced
    steps = [event for event in read_events(run.events_file) if isinstance(event, StepFinished)]
    assert {step.metrics["process_memory_gb"] for step in steps} == {5.0}


@pytest.mark.parametrize("which", [["demo"], ["demo", "prompt-distillation"]])
def test_the_demonstrations_keep_a_mac_awake(
    opd: Opd, tmp_path: Path, which: list[str], started: list[list[str]]
) -> None:
    (tmp_path / "file").write_text("")
    assert opd(*which, "--workspace", str(tmp_path / "file" / "inside")).exit_code == 1
    assert STARTS in started
