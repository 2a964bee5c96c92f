"""A real backend in a process of its own, asked over loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

TOKEN = "a-token-of-this-process-only"
LOG_FILE = "backend.log"


@dataclass(frozen=True, slots=True)
class BackendProcess:
    """A backend that said it is ready."""

    workspace: Path
    process: subprocess.Popen[str]
    port: int
    client: httpx.Client

    def ask(
        self, path: str, body: Mapping[str, object] | None = None, method: str | None = None
    ) -> httpx.Response:
        """GET an address under /api, or POST a body to it."""
        return self.client.request(method or ("GET" if body is None else "POST"), path, json=body)

    def stream_url(self, run_id: str, after: int) -> str:
        """Where a reader gets a run's events behind a number."""
        return f"ws://127.0.0.1:{self.port}/api/runs/{run_id}/stream?after={after}"

    def end(self) -> int:
        """Ask it to end, as a desktop does; returns the exit code."""
        self.process.terminate()
        return self._reap()

    def kill(self) -> None:
        """End it as a crash does: nothing is written or said any more."""
        self.process.kill()
        self._reap()

    def _reap(self) -> int:
        code = self.process.wait(60)
        self.client.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def headers() -> dict[str, str]:
    """What every request carries."""
    return {"authorization": f"Bearer {TOKEN}"}


def start_backend(workspace: Path, *options: str) -> BackendProcess:
    """Start `python -m backend` and wait until it serves; its own words go to backend.log.

    Raises:
        RuntimeError: it ended instead.
    """
    workspace.mkdir(parents=True, exist_ok=True)
    log = workspace / LOG_FILE
    command = [sys.executable, "-m", "backend", "--ready-json", "--workspace", str(workspace)]
    with log.open("a", encoding="utf-8") as words:
        process = subprocess.Popen(
            [*command, *options],
            stdout=subprocess.PIPE,
            stderr=words,
            text=True,
            env={**os.environ, "OPD_TOKEN": TOKEN},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.stdout.close()
        said = log.read_text(encoding="utf-8")[-2000:]
        raise RuntimeError(f"The backend ended with {process.wait(60)}: {said}")
    port = int(json.loads(line)["port"])
    # One client for all requests: each new one reads the system's certificates, for nothing here.
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}/api", headers=headers(), timeout=60.0, trust_env=False
    )
    return BackendProcess(workspace, process, port, client)


@contextmanager
def running_backend(workspace: Path, *options: str) -> Iterator[BackendProcess]:
    """Lend a backend that is ended when the block is left."""
    backend = start_backend(workspace, *options)
    try:
        yield backend
    finally:
        backend.end()
