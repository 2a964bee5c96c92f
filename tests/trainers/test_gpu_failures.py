"""Real runs whose GPU work is ended at a random synchronization end with an undisturbed one's
bytes, under both parents: the backend's supervisor and the command in a terminal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.settings import BackendSettings
from backend.supervisor.supervisor import Supervisor
from OnPolicyDistill.cli import watching
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import Warned
from OnPolicyDistill.runs.log import read_events
from tests.backend.conftest import wait_until
from tests.trainers.conftest import Classroom

pytestmark = pytest.mark.timeout(120)
COMMAND = (sys.executable, str(Path(__file__).parents[1] / "gpu_failing.py"))

Parent = Callable[[RunDirectory], None]


def arrays_of(run: RunDirectory) -> list[bytes]:
    last = last_checkpoint(run)
    assert last is not None
    assert last.name == "000006"
    names = ("adapters.safetensors", "optimizer.safetensors")
    return [(last / name).read_bytes() for name in names]


def told(run: RunDirectory) -> list[str]:
    return [event.code for event in read_events(run.events_file) if isinstance(event, Warned)]


@pytest.fixture(scope="module")
def undisturbed(school: Path) -> list[bytes]:
    """What a process that nobody disturbs ends with; only the same program has the same bits."""
    run = Classroom(school).create()
    workspace = str(run.path.parent.parent)
    command = [*COMMAND, "train", "--run", run.run_id, "--workspace", workspace]
    subprocess.run(command, check=True, capture_output=True)
    return arrays_of(run)


def train_under_supervisor(run: RunDirectory) -> None:
    settings = BackendSettings(
        workspace=run.path.parent.parent, port=1, worker_command=COMMAND,
        min_free_disk_gb=0.0, min_free_memory_gb=0.0,
    )  # fmt: skip
    supervisor = Supervisor(settings, lambda: None, lambda: False)
    supervisor.enqueue(run.run_id, "train")

    def is_over() -> bool:
        supervisor.tick()
        return supervisor.slot.active is None

    wait_until(is_over, 110)


def train_in_terminal(run: RunDirectory) -> None:
    workspace = str(run.path.parent.parent)
    arguments = ["train", "--run", run.run_id, "--workspace", workspace]
    assert watching.watch(run, arguments) == 0


@pytest.mark.parametrize("parent", [train_under_supervisor, train_in_terminal])
@pytest.mark.parametrize(("how", "seed"), [("exception", 7), ("abort", 8)])
def test_a_run_that_the_gpu_ended_ends_with_the_bytes_of_one_it_left_alone(
    classroom: Classroom,
    undisturbed: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    parent: Parent,
    how: str,
    seed: int,
) -> None:
    disturbed = classroom.create()
    monkeypatch.setenv("OPD_TEST_GPU", f"{how}:{seed}")
    monkeypatch.setattr(watching, "COMMAND", COMMAND)
    parent(disturbed)
    assert told(disturbed).count("gpu_watchdog") == 1
    assert disturbed.state() == "finished"
    assert arrays_of(disturbed) == undisturbed
