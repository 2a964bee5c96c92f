"""A backend over a folder of its own: in memory for requests, real for sockets and processes."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

import httpx
import pytest
import uvicorn
from huggingface_hub import constants

from backend.app import create_api, guard
from backend.backend import Backend
from backend.models.token import VARIABLES
from backend.server import bind
from backend.settings import BackendSettings
from OnPolicyDistill.config import OnPolicyConfig, parse_config
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import EvaluationFinished, RunStarted, StepFinished
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.runs.reporting import describe_machine

TOKEN = "test-token"
PORT = 8123
ORIGIN = f"http://127.0.0.1:{PORT}"
FAKE_WORKER = Path(__file__).with_name("fake_worker.py")

MakeRun = Callable[..., RunDirectory]


@pytest.fixture(scope="session", autouse=True)
def own_hub_token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep every test away from the token of whoever runs it."""
    file = tmp_path_factory.mktemp("hub") / "token"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_TOKEN_PATH", str(file))
        for variable in VARIABLES:
            patch.delenv(variable, raising=False)
        yield file


@pytest.fixture(autouse=True)
def plenty_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of these tests name models that no machine of tests could hold, and load none."""
    monkeypatch.setattr("OnPolicyDistill.planning.free_memory.available_bytes", lambda: 10**15)


@pytest.fixture
def settings(tmp_path: Path) -> BackendSettings:
    return BackendSettings(
        workspace=tmp_path / "workspace",
        port=PORT,
        token=TOKEN,
        link_token="link-token",
        frontend=tmp_path / "dist",
        worker_command=(sys.executable, str(FAKE_WORKER)),
        min_free_disk_gb=0.0,
        min_free_memory_gb=0.0,
        scan_seconds=0.05,
        follow_seconds=0.02,
        stop_grace_seconds=20.0,
    )


@pytest.fixture
def backend(settings: BackendSettings) -> Iterator[Backend]:
    made = Backend(settings)
    yield made
    release(made)


def release(backend: Backend) -> None:
    """End what a backend of a test left behind."""
    process = backend.supervisor.process
    if process is not None:
        process.kill()
        process.wait(20)
    backend.index.engine.dispose()


@asynccontextmanager
async def client_of(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    app = guard(create_api(backend), backend)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app, raise_app_exceptions=False),
        base_url=ORIGIN,
        headers={"authorization": f"Bearer {TOKEN}"},
    ) as client:
        yield client


@pytest.fixture
async def client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    """Requests without the backend's loops."""
    async with client_of(backend) as client:
        yield client


@pytest.fixture
async def live_client(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    """Requests while the backend watches folders and supervises."""
    async with backend.running(), client_of(backend) as client:
        yield client


@pytest.fixture
def make_run(settings: BackendSettings) -> MakeRun:
    def make(name: str = "steps=3", steps: int = 0, **changes: object) -> RunDirectory:
        config = parse_config({"distillation": {"run_name": name, **changes}})
        assert isinstance(config, OnPolicyConfig)
        run = create_run(settings.workspace, config)
        if steps:
            write_steps(run, steps)
        return run

    return make


def write_steps(run: RunDirectory, steps: int) -> None:
    with EventWriter(run.events_file) as writer:
        writer.write(
            RunStarted(
                run_id=run.run_id,
                method="on_policy",
                num_steps=steps,
                config_hash="x",
                machine=describe_machine(),
            )
        )
        for step in range(1, steps + 1):
            writer.write(StepFinished(step=step, metrics={"loss": 1.0 / step, "num_tokens": 10.0}))
        writer.write(EvaluationFinished(step=steps, metrics={"eval_reverse_kl": 1.0 / steps}))


@contextmanager
def served(settings: BackendSettings) -> Iterator[tuple[Backend, int]]:
    """Serve a backend on a real socket in a thread."""
    listener = bind(0)
    port = int(listener.getsockname()[1])
    backend = Backend(replace(settings, port=port))
    config = uvicorn.Config(
        guard(create_api(backend), backend), log_level="warning", ws_per_message_deflate=False,
        timeout_graceful_shutdown=2, lifespan="on",
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        yield backend, port
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 (what is waited for is another process)
            await asyncio.sleep(0.02)
