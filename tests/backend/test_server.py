"""The backend as a process: how it starts, what it says, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from backend.server import bind
from tests.backend.conftest import FAKE_WORKER, TOKEN, wait_until

pytestmark = pytest.mark.timeout(90)

BEARER = {"authorization": f"Bearer {TOKEN}"}


@contextmanager
def backend_process(
    workspace: Path, *arguments: str, token: str | None = TOKEN
) -> Iterator[subprocess.Popen[str]]:
    environment = {key: value for key, value in os.environ.items() if key != "OPD_TOKEN"}
    if token is not None:
        environment["OPD_TOKEN"] = token
    command = [sys.executable, "-m", "backend", "--workspace", str(workspace), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def ready(process: subprocess.Popen[str]) -> dict[str, object]:
    answer: dict[str, object] = json.loads(line_of(process))
    return answer


def test_the_ready_line_says_where_and_who(tmp_path: Path) -> None:
    with backend_process(tmp_path / "ä b", "--ready-json") as process:
        said = ready(process)
        assert set(said) == {"ready", "port", "pid", "instance"}
        assert (said["ready"], said["pid"]) == (True, process.pid)
        url = f"http://127.0.0.1:{said['port']}/api/instance"
        assert httpx.get(url, headers=BEARER).json()["instance"] == said["instance"]
        listening = psutil.Process(process.pid).net_connections()
        hosts = {each.laddr.ip for each in listening if each.status == psutil.CONN_LISTEN}
        assert hosts == {"127.0.0.1"}
        assert TOKEN not in " ".join(psutil.Process(process.pid).cmdline())


def test_the_printed_link_opens_a_session_and_is_not_the_token(tmp_path: Path) -> None:
    with backend_process(tmp_path, "--no-open") as process:
        line_of(process)
        url = line_of(process).strip()
        assert TOKEN not in url
        with httpx.Client() as browser:
            assert browser.get(url).status_code == 303
            assert browser.get(url.split("?")[0] + "api/runs").status_code == 200
        assert httpx.get(url).status_code == 401


def test_without_a_token_in_the_environment_one_is_made(tmp_path: Path) -> None:
    with backend_process(tmp_path, "--no-open", token=None) as process:
        line_of(process)
        url = line_of(process).strip().split("?")[0]
        assert httpx.get(f"{url}api/runs", headers=BEARER).status_code == 401


def test_the_next_backend_of_a_workspace_is_where_the_last_one_was(tmp_path: Path) -> None:
    with backend_process(tmp_path, "--ready-json") as process:
        port = ready(process)["port"]
    with backend_process(tmp_path, "--ready-json") as process:
        assert ready(process)["port"] == port
    with bind(int(str(port))) as holder:
        holder.listen()
        with backend_process(tmp_path, "--ready-json") as process:
            assert ready(process)["port"] != port


def test_sigterm_ends_it_cleanly(tmp_path: Path) -> None:
    with backend_process(tmp_path, "--ready-json") as process:
        ready(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) in (0, -signal.SIGTERM)


def test_a_shutdown_by_request_ends_it(tmp_path: Path) -> None:
    with backend_process(tmp_path, "--ready-json") as process:
        url = f"http://127.0.0.1:{ready(process)['port']}/api/shutdown"
        assert httpx.post(url, headers=BEARER, json={"runs": "keep"}).status_code == 202
        assert process.wait(20) == 0


def test_a_taken_port_and_a_taken_workspace_are_said_in_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with backend_process(tmp_path, "--port", port) as process:
            _, said = process.communicate(timeout=30)
        assert process.returncode == 2
        assert f"Port {port} on 127.0.0.1 is taken by another program." in said
        assert "Traceback" not in said
    with backend_process(tmp_path, "--ready-json") as first:
        port = ready(first)["port"]
        with backend_process(tmp_path, "--ready-json") as second:
            _, said = second.communicate(timeout=30)
        assert second.returncode == 1
        assert f"already at http://127.0.0.1:{port} (process {first.pid})." in said
        assert "Traceback" not in said


PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-m", "backend", "--workspace", sys.argv[1],
                          "--ready-json", "--watch-parent"], stdout=subprocess.PIPE)
print(child.pid, child.stdout.readline().decode().strip(), flush=True)
sys.stdin.readline()
"""


def test_it_ends_when_its_parent_is_gone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(line_of(parent).split()[0])
        parent.kill()
    wait_until(lambda: not psutil.pid_exists(pid) or is_zombie(pid))


def is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_run_outlives_a_killed_backend_and_is_adopted_by_the_next(tmp_path: Path) -> None:
    worker = ("--worker", sys.executable, str(FAKE_WORKER))
    config = {"distillation": {"run_name": "steps=5000 pause=0.05"}}
    # The default pair needs more memory than most machines have; the worker here trains nothing.
    body = {"config": config, "start": True, "anyway": True}
    with backend_process(tmp_path, "--ready-json", *worker) as process:
        base = f"http://127.0.0.1:{ready(process)['port']}/api"
        made = httpx.post(f"{base}/runs", headers=BEARER, json=body)
        path = f"/runs/{made.json()['run_id']}"
        wait_until(lambda: state(base + path) == "running")
        process.kill()
        process.wait()
    with backend_process(tmp_path, "--ready-json", *worker) as process:
        base = f"http://127.0.0.1:{ready(process)['port']}/api"
        assert state(base + path) == "running"
        assert httpx.post(f"{base}{path}/pause", headers=BEARER).status_code == 200
        wait_until(lambda: state(base + path) == "paused")


def state(url: str) -> str:
    return str(httpx.get(url, headers=BEARER).json()["run"]["state"])
