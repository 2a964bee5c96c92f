"""Downloads with their real processes, from a hub on this machine."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from backend.app import create_api, guard
from backend.backend import Backend
from backend.downloads.downloads import Downloads
from backend.downloads.record import DownloadRecord
from backend.models.place import Hub
from backend.settings import BackendSettings
from backend.workbench import Workbench
from OnPolicyDistill.errors import DiskFullError
from OnPolicyDistill.registry import local_folder
from tests.backend.conftest import ORIGIN, TOKEN, wait_until
from tests.backend.downloads.hub_server import FakeHub, serving
from tests.backend.tiny import write_tiny_model

pytestmark = pytest.mark.timeout(120)
HUB_ID = "someone/tiny"
DOWNLOAD_ID = "models--someone--tiny"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("published") / "tiny")


@pytest.fixture
def server(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with serving(HUB_ID, published) as server:
        yield server


@pytest.fixture
def hub(server: FakeHub, tmp_path: Path) -> Hub:
    return Hub(tmp_path / "cache", server.endpoint)


@pytest.fixture
def downloads(settings: BackendSettings, hub: Hub) -> Iterator[Downloads]:
    settings.workspace.mkdir(exist_ok=True)
    made = Downloads(settings, hub)
    yield made
    end_all(made)


def end_all(downloads: Downloads) -> None:
    """Downloads outlive their backend on purpose, but not a test."""
    for record in downloads.list():
        downloads.cancel(record.id)
    wait_until(lambda: downloads.list() is not None and not downloads._processes)


def until(downloads: Downloads, condition: Callable[[DownloadRecord], bool]) -> DownloadRecord:
    wait_until(lambda: condition(downloads.get(DOWNLOAD_ID)), seconds=60)
    return downloads.get(DOWNLOAD_ID)


def slow_down(server: FakeHub, num_seconds: int) -> None:
    server.bytes_per_second = len(server.files[WEIGHTS]) // num_seconds


def test_a_model_arrives_whole_and_is_found_without_network(
    downloads: Downloads, hub: Hub, published: Path
) -> None:
    assert downloads.start(HUB_ID).state == "running"
    done = until(downloads, lambda record: record.state != "running")
    assert (done.state, done.message) == ("finished", "")
    assert done.done_bytes == done.total_bytes
    folder = local_folder(HUB_ID, hub.cache_dir)
    assert folder is not None
    assert str(folder) == done.path
    assert (folder / WEIGHTS).read_bytes() == (published / WEIGHTS).read_bytes()


def test_a_cancelled_download_goes_on_where_it_stopped(
    downloads: Downloads, server: FakeHub
) -> None:
    slow_down(server, 8)
    downloads.start(HUB_ID)
    assert downloads.start(HUB_ID).state == "running"
    under_way = until(downloads, lambda record: record.done_bytes > 20_000)
    assert under_way.worker is not None
    cancelled = downloads.cancel(DOWNLOAD_ID)
    assert cancelled.state == "cancelled"
    assert downloads.cancel(DOWNLOAD_ID) == cancelled
    assert not under_way.worker.is_alive()
    server.bytes_per_second = 0
    server.asked.clear()
    downloads.start(HUB_ID)
    assert until(downloads, lambda record: record.state != "running").state == "finished"
    ranges = [wanted for name, wanted in server.asked if name == WEIGHTS]
    assert len(ranges) == 1
    assert int(str(ranges[0]).removeprefix("bytes=").removesuffix("-")) > 10_000


def test_a_download_survives_the_backend(
    downloads: Downloads, settings: BackendSettings, hub: Hub, server: FakeHub
) -> None:
    slow_down(server, 3)
    downloads.start(HUB_ID)
    successor = Downloads(settings, hub)
    assert successor.get(DOWNLOAD_ID).state == "running"
    assert until(successor, lambda record: record.state != "running").state == "finished"
    wait_until(lambda: not downloads.is_running(DOWNLOAD_ID))


def test_a_killed_download_is_interrupted_and_can_be_resumed(
    downloads: Downloads, server: FakeHub
) -> None:
    slow_down(server, 8)
    worker = downloads.start(HUB_ID).worker
    assert worker is not None
    until(downloads, lambda record: record.done_bytes > 0)
    os.kill(worker.pid, signal.SIGKILL)
    interrupted = until(downloads, lambda record: record.state != "running")
    assert interrupted.state == "interrupted"
    assert "Resume" in interrupted.action
    server.bytes_per_second = 0
    downloads.start(HUB_ID)
    assert until(downloads, lambda record: record.state != "running").state == "finished"


def test_damaged_weights_are_thrown_away_and_fetched_again(
    downloads: Downloads, hub: Hub, server: FakeHub
) -> None:
    blobs = hub.folder_of(HUB_ID) / "blobs"
    blobs.mkdir(parents=True)
    slow_down(server, 8)
    downloads.start(HUB_ID)
    until(downloads, lambda record: record.done_bytes > 20_000)
    downloads.cancel(DOWNLOAD_ID)
    part = next(blobs.glob("*.part"))
    with part.open("r+b") as stream:
        stream.write(b"damage")
    server.bytes_per_second = 0
    downloads.start(HUB_ID)
    failed = until(downloads, lambda record: record.state != "running")
    assert (failed.state, "damaged" in failed.message) == ("failed", True)
    downloads.start(HUB_ID)
    assert until(downloads, lambda record: record.state != "running").state == "finished"


def test_without_the_hub_it_fails_in_words(settings: BackendSettings, tmp_path: Path) -> None:
    settings.workspace.mkdir()
    downloads = Downloads(settings, Hub(tmp_path / "cache", "http://127.0.0.1:9"))
    downloads.start(HUB_ID)
    failed = until(downloads, lambda record: record.state != "running")
    end_all(downloads)
    assert failed.state == "failed"
    assert "hub cannot be reached" in failed.message


def test_a_known_model_without_room_is_refused_at_once(
    downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**9))
    with pytest.raises(DiskFullError, match=r"needs about 65.5 GB"):
        downloads.start("Qwen/Qwen2.5-32B-Instruct")
    assert not downloads.list()


@pytest.fixture
async def client(backend: Backend, hub: Hub) -> AsyncIterator[httpx.AsyncClient]:
    api = create_api(backend)
    api.state.workbench = Workbench(backend, hub)
    transport = httpx.ASGITransport(app=guard(api, backend), raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}
    ) as client:
        yield client
    end_all(api.state.workbench.downloads)


async def test_downloads_over_http(client: httpx.AsyncClient, server: FakeHub) -> None:
    slow_down(server, 20)
    started = await client.post("/api/downloads", json={"model": HUB_ID})
    assert (started.status_code, started.json()["id"]) == (201, DOWNLOAD_ID)
    address = f"/api/downloads/{DOWNLOAD_ID}"
    assert (await client.get(address)).json()["state"] == "running"
    assert (await client.delete(address)).status_code == 409
    assert (await client.delete(f"/api/models/local/{DOWNLOAD_ID}")).status_code == 409
    assert (await client.post(f"{address}/cancel")).json()["state"] == "cancelled"
    for _ in range(2):
        assert (await client.delete(address)).status_code == 204
    assert (await client.get("/api/downloads")).json() == []
    assert (await client.get(address)).status_code == 404


@pytest.mark.parametrize(
    "name", ["nothing", "a/b/c", "../x", "a/..", "a--b/c", "tiny-student", "a/b\n", "/etc/passwd"]
)
async def test_what_is_no_hub_model_is_refused(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post("/api/downloads", json={"model": name})
    assert (answer.status_code, answer.json()["errors"][0]["location"]) == (422, "body.model")


async def test_a_search_asks_the_hub_and_says_what_is_known(
    client: httpx.AsyncClient, server: FakeHub
) -> None:
    server.search_answer = (
        200,
        b'[{"_id": "1", "id": "mlx-community/Qwen2.5-7B-Instruct-4bit", "downloads": 7, "likes": 2,'
        b'"gated": false, "private": false, "tags": ["mlx"], "safetensors": {"total": 1000},'
        b'"lastModified": "2026-01-02T03:04:05.000Z"}]',
    )
    page = (await client.get("/api/hub/search", params={"words": "qwen 7b"})).json()
    assert page["models"][0]["alias"] == "qwen2.5-7b-4bit"
    assert page["models"][0]["is_mlx"]
    assert server.searches[0]["search"] == ["qwen 7b"]
    assert server.searches[0]["filter"] == ["mlx"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [((401, b""), "hub_token"), ((500, b""), "hub_refused"), ((200, b"<html>"), "hub_refused")],
)
async def test_a_refused_search_says_why(
    client: httpx.AsyncClient, server: FakeHub, answer: tuple[int, bytes], code: str
) -> None:
    server.search_answer = answer
    refused = await client.get("/api/hub/search", params={"words": "x"})
    assert (refused.status_code, refused.json()["code"]) == (503, code)


async def test_a_search_offline_says_so(backend: Backend, tmp_path: Path) -> None:
    api = create_api(backend)
    api.state.workbench = Workbench(backend, Hub(tmp_path, "http://127.0.0.1:9"))
    transport = httpx.ASGITransport(app=guard(api, backend))
    async with httpx.AsyncClient(
        transport=transport, base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}
    ) as client:
        refused = await client.get("/api/hub/search", params={"words": "x"})
    assert (refused.status_code, refused.json()["code"]) == (503, "hub_unreachable")
