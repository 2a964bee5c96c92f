"""No run is killed on an ordinary path, and only one place of the sources can kill one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from backend.settings import BackendSettings
from backend.supervisor import ending
from backend.supervisor.ending import end
from OnPolicyDistill.runs.directory import Worker
from OnPolicyDistill.runs.workers import identify
from tests.backend.conftest import MakeRun
from tests.backend.test_supervisor import do, until

pytestmark = pytest.mark.timeout(90)
ROOT = Path(__file__).parents[2]
KILLS = re.compile(r"os\.kill\(|os\.killpg\(|\.kill\(\)|send_signal\(|signal\.SIGKILL")
# Who may send a signal at all, and why.
MAY_SIGNAL = {
    "backend/supervisor/ending.py",  # the one place that may kill
    "backend/supervisor/explain.py",  # reads how a process ended
    "OnPolicyDistill/cli/watching.py",  # passes on what it hears
    "OnPolicyDistill/pipelines/process.py",  # asks a stage to pause, and kills nothing
    # Processes that hold no state of a run and write nothing that is kept.
    "OnPolicyDistill/runs/loggers/following.py",
    "backend/door/door.py",
    "OnPolicyDistill/distributed/checking.py",  # ssh that asks a host, and writes nothing
    # Asks ranks to pause; kills them only where a second signal is heard.
    "OnPolicyDistill/distributed/launching.py",
}


def test_one_place_of_the_sources_can_kill() -> None:
    found = {
        str(file.relative_to(ROOT))
        for room in ("backend", "OnPolicyDistill")
        for file in (ROOT / room).rglob("*.py")
        if KILLS.search(file.read_text())
    }
    assert found == MAY_SIGNAL
    assert "SIGKILL" not in (ROOT / "OnPolicyDistill/cli/watching.py").read_text()
    assert (ROOT / "backend/supervisor/ending.py").read_text().count("signal.SIGKILL") == 1


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Every signal that this process sends, the backend's included."""
    numbers: list[int] = []
    for name in ("kill", "killpg"):
        monkeypatch.setattr(os, name, recording(numbers, getattr(os, name)))
    return numbers


def recording(numbers: list[int], send):
    def recorded(pid: int, number: int) -> None:
        numbers.append(number)
        send(pid, number)

    return recorded


async def test_a_run_is_paused_resumed_and_stopped_without_a_kill(
    live_client: httpx.AsyncClient, make_run: MakeRun, sent: list[int]
) -> None:
    run = make_run("steps=2000 pause=0.05")
    await do(live_client, run, "start")
    await until(live_client, run, "running")
    await do(live_client, run, "pause")
    await until(live_client, run, "paused")
    await do(live_client, run, "resume")
    await until(live_client, run, "running")
    await do(live_client, run, "stop")
    await until(live_client, run, "finished")
    assert set(sent) == {signal.SIGTERM}


def started(*program: str) -> tuple[subprocess.Popen[bytes], Worker]:
    process = subprocess.Popen(
        [sys.executable, "-c", *program], start_new_session=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process, identify(process.pid)


def test_who_ends_when_asked_is_not_killed(sent: list[int]) -> None:
    process, worker = started("import time; print(flush=True); time.sleep(60)")
    end(worker)
    assert process.wait(10) == -signal.SIGTERM
    assert sent == [signal.SIGTERM]


def test_who_does_not_end_in_its_grace_is_killed_at_last(sent: list[int]) -> None:
    ignores = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    process, worker = started(ignores + "print(flush=True); time.sleep(60)")
    began = time.monotonic()
    end(worker, grace_seconds=0.2)
    assert time.monotonic() - began >= 0.2
    assert process.wait(10) == -signal.SIGKILL
    assert sent == [signal.SIGTERM, signal.SIGKILL]


def test_the_grace_is_long_and_one_for_all() -> None:
    settings = BackendSettings(workspace=ROOT, port=1)
    assert settings.stop_grace_seconds == ending.GRACE_SECONDS >= 60
