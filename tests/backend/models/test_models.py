"""Models over HTTP: what is known, what is here, what may be deleted."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from backend.app import create_api, guard
from backend.backend import Backend
from backend.models.place import Hub
from backend.supervisor.slot import ActiveRun, Slot
from backend.workbench import Workbench
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.directory import create_run
from tests.backend.conftest import ORIGIN, TOKEN, MakeRun
from tests.backend.tiny import write_tiny_model

HUB_ID = "Qwen/Qwen2.5-0.5B-Instruct"
CACHED = "models--Qwen--Qwen2.5-0.5B-Instruct"
COMMIT = "a" * 40


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "student")


@pytest.fixture
def hub(tmp_path: Path, model: Path) -> Hub:
    """A cache with one whole model and one that is half here."""
    cache = tmp_path / "cache"
    shutil.copytree(model, cache / CACHED / "snapshots" / COMMIT)
    (cache / CACHED / "refs").mkdir()
    (cache / CACHED / "refs" / "main").write_text(COMMIT)
    half = cache / "models--someone--half" / "blobs"
    half.mkdir(parents=True)
    (half / "x.part").write_bytes(b"12345")
    return Hub(cache, "http://127.0.0.1:9")


@pytest.fixture
async def client(backend: Backend, hub: Hub) -> AsyncIterator[httpx.AsyncClient]:
    api = create_api(backend)
    api.state.workbench = Workbench(backend, hub)
    transport = httpx.ASGITransport(app=guard(api, backend), raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url=ORIGIN, headers={"authorization": f"Bearer {TOKEN}"}
    ) as client:
        yield client


async def local(client: httpx.AsyncClient) -> dict[str, dict[str, object]]:
    return {model["id"]: model for model in (await client.get("/api/models")).json()["local"]}


async def test_what_is_downloaded_is_described_from_its_files(client: httpx.AsyncClient) -> None:
    found = (await local(client))[CACHED]
    assert (found["name"], found["alias"], found["is_complete"]) == (HUB_ID, "qwen2.5-0.5b", True)
    assert (found["logit_width"], found["vocab_size"], found["bits"]) == (320, 283, 32)
    assert found["has_template"]
    assert found["verdict"] in ("fits", "tight", "does_not_fit")
    assert int(str(found["disk_bytes"])) > 10_000


async def test_half_a_download_is_listed_as_such(client: httpx.AsyncClient) -> None:
    half = (await local(client))["models--someone--half"]
    assert (half["is_complete"], half["disk_bytes"], half["path"]) == (False, 5, None)


async def test_known_models_say_which_forms_are_here_and_fit(client: httpx.AsyncClient) -> None:
    known = {m["alias"]: m for m in (await client.get("/api/models")).json()["known"]}
    forms = {form["form"]: form for form in known["qwen2.5-0.5b"]["forms"]}
    assert (forms["bf16"]["is_here"], forms["bf16"]["local_id"]) == (True, CACHED)
    assert not forms["4bit"]["is_here"]
    largest = known["qwen3-vl-235b-a22b-instruct"]["forms"][0]
    assert largest["verdict"] == "does_not_fit"
    assert largest["weights_gb"] > 400


async def test_a_damaged_model_says_what_is_wrong(client: httpx.AsyncClient, hub: Hub) -> None:
    weights = hub.cache_dir / CACHED / "snapshots" / COMMIT / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    assert "cut short" in str((await local(client))[CACHED]["problem"])


async def test_a_folder_is_remembered_once_and_forgotten_without_its_files(
    client: httpx.AsyncClient, model: Path
) -> None:
    first = await client.post("/api/models/folders", json={"path": str(model)})
    again = await client.post("/api/models/folders", json={"path": f"{model}/../{model.name}"})
    assert first.status_code == again.status_code == 201
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["origin"], first.json()["problem"]) == ("folder", None)
    address = f"/api/models/local/{first.json()['id']}"
    assert (await client.delete(address)).status_code == 204
    assert (model / "config.json").is_file()
    assert (await client.delete(address)).status_code == 404


@pytest.mark.parametrize("path", ["/nothing", "student", "/tmp", "/dev/null"])
async def test_what_is_no_model_folder_is_refused(client: httpx.AsyncClient, path: str) -> None:
    refused = await client.post("/api/models/folders", json={"path": path})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_path")


@pytest.mark.parametrize(
    "config",
    [
        {"prompt_distillation": {"student_model": HUB_ID, "teacher_model": "tiny-thinker"}},
        {"prompt_distillation": {"student_model": "tiny-answerer", "teacher_model": HUB_ID}},
        {"sft": {"model": HUB_ID}},
        {"evaluation": {"variants": [{"name": "a", "model": "x"}, {"name": "b", "model": HUB_ID}]}},
    ],
)
async def test_every_method_says_which_models_it_uses(
    client: httpx.AsyncClient, backend: Backend, config: dict[str, object]
) -> None:
    run = create_run(backend.settings.workspace, parse_config(config))
    backend.watcher.refresh(run.run_id)
    assert (await local(client))[CACHED]["used_by"] == [run.run_id]


async def test_a_model_that_runs_use_is_deleted_only_when_confirmed(
    client: httpx.AsyncClient, backend: Backend, hub: Hub, make_run: MakeRun
) -> None:
    runs = [make_run(student_model="qwen2.5-0.5b"), make_run(teacher_model=HUB_ID)]
    for run in runs:
        backend.watcher.refresh(run.run_id)
    ids = sorted(run.run_id for run in runs)
    assert sorted((await local(client))[CACHED]["used_by"]) == ids  # type: ignore[call-overload]
    address = f"/api/models/local/{CACHED}"
    refused = await client.delete(address)
    assert (refused.status_code, refused.json()["code"]) == (409, "model_used")
    assert all(run_id in refused.json()["detail"] for run_id in ids)
    backend.supervisor.slot = Slot(active=ActiveRun(run_id=ids[0], verb="train"))
    busy = await client.delete(address, params={"confirmed": True})
    assert (busy.status_code, busy.json()["code"]) == (409, "model_busy")
    backend.supervisor.slot = Slot()
    assert (await client.delete(address, params={"confirmed": True})).status_code == 204
    assert not (hub.cache_dir / CACHED).exists()


@pytest.mark.parametrize("name", ["models--..", "models--a..b", "other", "models--x%2fy"])
async def test_names_that_are_no_model_delete_nothing(
    client: httpx.AsyncClient, hub: Hub, name: str
) -> None:
    assert (await client.delete(f"/api/models/local/{name}")).status_code in (400, 404, 422)
    assert (hub.cache_dir / CACHED).is_dir()


async def test_a_hostile_folder_is_shown_as_unreadable_and_can_be_removed(
    client: httpx.AsyncClient, model: Path, tmp_path: Path
) -> None:
    hostile = tmp_path / "hostile"
    shutil.copytree(model, hostile)
    (hostile / "model.safetensors").write_bytes(b"\x40\x0d\x03\0\0\0\0\0" + b"[" * 200_000)
    added = (await client.post("/api/models/folders", json={"path": str(hostile)})).json()
    assert "damaged" in added["problem"]
    listed = await local(client)
    assert listed[CACHED]["problem"] is None
    assert "damaged" in str(listed[added["id"]]["problem"])
    pair = {"student": str(hostile), "teacher": str(model)}
    assert (await client.post("/api/pair", json=pair)).status_code < 500
    config = {"method": "sft", "sft": {"model": str(hostile)}}
    report = (await client.post("/api/check", json={"config": config})).json()
    messages = [finding["message"] for finding in report["findings"]]
    assert any(str(hostile) in message for message in messages), messages
    assert (await client.delete(f"/api/models/local/{added['id']}")).status_code == 204
    assert added["id"] not in await local(client)
    assert (hostile / "config.json").is_file()
