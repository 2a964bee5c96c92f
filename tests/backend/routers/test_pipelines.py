"""Pipelines over the API: made, begun, paused, gone on with, and their tables sent."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from backend.backend import Backend
from backend.settings import BackendSettings
from OnPolicyDistill.pipelines.directory import (
    PipelineDirectory,
    create_pipeline,
    list_pipelines,
)
from OnPolicyDistill.pipelines.reading import shipped_pipelines
from tests.backend.conftest import client_of, eventually, release
from tests.pipelines.conftest import chained, settled

ROOT = Path(__file__).parents[3]


@pytest.fixture
def text(tmp_path: Path) -> str:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a"}\n', encoding="utf-8")
    return chained(file, 2, second="steps=40 pause=0.05")


@pytest.fixture
def no_checkup(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages name models that no machine of tests has."""
    monkeypatch.setattr("OnPolicyDistill.pipelines.beginning.check_stage", lambda *_: [])


@pytest.fixture
def made(settings: BackendSettings, text: str) -> PipelineDirectory:
    return create_pipeline(settings.workspace, settled(text))


@pytest.fixture
async def working(
    settings: BackendSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Backend, httpx.AsyncClient]]:
    """A backend whose pipelines run with fake stages."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    command = (sys.executable, "-m", "tests.backend.fake_pipeline")
    backend = Backend(replace(settings, worker_command=command))
    async with backend.running(), client_of(backend) as client:
        yield backend, client
    release(backend)


async def state_of(client: httpx.AsyncClient, pipeline_id: str) -> str:
    answer = await client.get(f"/api/pipelines/{pipeline_id}")
    return str(answer.json()["status"]["state"])


@pytest.mark.usefixtures("no_checkup")
async def test_a_pipeline_is_begun_paused_and_gone_on_with(
    working: tuple[Backend, httpx.AsyncClient], text: str
) -> None:
    backend, client = working
    answer = await client.post("/api/pipelines", json={"yaml": text})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    name = told["pipeline_id"]
    assert told["state"] == "running"
    assert [stage["name"] for stage in told["stages"]] == ["first", "second"]

    async def is_in_the_second() -> bool:
        detail = (await client.get(f"/api/pipelines/{name}")).json()
        return bool(detail["status"]["stages"][1]["step"] >= 1)

    await eventually(is_in_the_second)
    assert backend.held_by_others() == f"Pipeline {name} is at work."
    other = await client.post("/api/pipelines", json={"yaml": text.replace("three", "four")})
    assert (other.status_code, other.json()["code"]) == (409, "pipeline_busy")
    assert (await client.post(f"/api/pipelines/{name}/pause")).status_code == 200

    async def is_paused() -> bool:
        return await state_of(client, name) == "paused"

    await eventually(is_paused)
    detail = (await client.get(f"/api/pipelines/{name}")).json()
    assert [stage["state"] for stage in detail["status"]["stages"]] == ["finished", "paused"]
    assert [run["state"] for run in detail["runs"]] == ["finished", "paused"]
    assert "opd pipeline resume" in detail["status"]["action"]
    assert "stage second" in detail["log_tail"]
    again = await client.post(f"/api/pipelines/{name}/start", json={"anyway": True})
    assert again.json()["state"] == "running"

    async def is_finished() -> bool:
        return backend.held_by_others() is None

    await eventually(is_finished)
    assert await state_of(client, name) == "finished"
    finished = await client.post(f"/api/pipelines/{name}/start", json={})
    assert finished.status_code == 409


@pytest.mark.usefixtures("no_checkup")
async def test_a_queued_run_waits_for_the_pipeline(
    working: tuple[Backend, httpx.AsyncClient], text: str
) -> None:
    backend, client = working
    name = (await client.post("/api/pipelines", json={"yaml": text})).json()["pipeline_id"]
    run = {"config": {"distillation": {"run_name": "steps=1"}}, "start": True, "anyway": True}
    queued = (await client.post("/api/runs", json=run)).json()

    async def is_said() -> bool:
        return backend.supervisor.blocked is not None

    await eventually(is_said)
    assert backend.supervisor.waits(queued["run_id"])
    await client.post(f"/api/pipelines/{name}/pause")

    async def has_run() -> bool:
        return backend.directory(queued["run_id"]).state() == "finished"

    await eventually(has_run)


async def test_a_wrong_pipeline_is_refused_with_its_line(
    client: httpx.AsyncClient, settings: BackendSettings, text: str
) -> None:
    for wrong, sentence in (
        (text.replace("from: first", "from: nobody"), "there is no earlier stage nobody"),
        ("name: [", "is not valid YAML"),
        (text.replace("on_policy", "sft"), "sft."),
        ("name: x\nstages: [{name: a, config: /dev/zero}]", "no regular file"),
        ("[" * 60, "too deep"),
        (text, "Stage first: Training and held-out prompts are the same file."),
    ):
        answer = await client.post("/api/pipelines", json={"yaml": wrong})
        assert answer.status_code == 422, answer.text
        assert sentence in answer.json()["detail"]
    assert list_pipelines(settings.workspace) == []


async def test_pipelines_are_listed_with_those_that_cannot_be_read(
    client: httpx.AsyncClient, made: PipelineDirectory, settings: BackendSettings, text: str
) -> None:
    damaged = create_pipeline(settings.workspace, settled(text))
    damaged.state_file.write_text("{", encoding="utf-8")
    told = (await client.get("/api/pipelines")).json()
    assert [one["pipeline_id"] for one in told["pipelines"]] == [made.pipeline_id]
    assert [one["pipeline_id"] for one in told["damaged"]] == [damaged.pipeline_id]
    assert "cannot be read" in told["damaged"][0]["problem"]
    assert (await client.get(f"/api/pipelines/{damaged.pipeline_id}")).status_code == 409


async def test_only_the_files_of_a_table_are_sent_and_no_links(
    client: httpx.AsyncClient, made: PipelineDirectory, tmp_path: Path
) -> None:
    address = f"/api/pipelines/{made.pipeline_id}/files"
    assert (await client.get(f"{address}/table.csv")).status_code == 404
    (made.path / "table.csv").write_text("kind\n", encoding="utf-8")
    assert (await client.get(f"{address}/table.csv")).text == "kind\n"
    assert (await client.get(f"{address}/state.json")).status_code == 422
    (tmp_path / "secret").write_text("secret", encoding="utf-8")
    (made.path / "table.txt").symlink_to(tmp_path / "secret")
    assert (await client.get(f"{address}/table.txt")).status_code == 404
    assert (await client.get("/api/pipelines/nowhere")).status_code == 404
    assert (await client.post(f"/api/pipelines/{made.pipeline_id}/pause")).status_code == 409


async def test_the_shipped_pipelines_are_files_to_start_from(client: httpx.AsyncClient) -> None:
    told = (await client.get("/api/shipped-pipelines")).json()
    assert {one["name"] for one in told} == set(shipped_pipelines()) >= {"three-families"}
    assert all(one["title"] and one["description"] and one["yaml"] for one in told)
