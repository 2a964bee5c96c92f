"""A start against the memory that is free now: refused, asked again, or waited for."""

from __future__ import annotations

import httpx
import pytest

from backend.backend import Backend
from backend.starting import enqueue
from backend.supervisor import supervisor as supervising
from OnPolicyDistill.planning.free_memory import Holder
from OnPolicyDistill.runs.directory import list_runs
from OnPolicyDistill.runs.forecast import read_forecast
from tests.backend.conftest import MakeRun

CONFIG = {"distillation": {"teacher_model": "qwen2.5-32b", "student_model": "qwen2.5-7b"}}
FREE = "OnPolicyDistill.planning.free_memory.available_bytes"
HOLDERS = "OnPolicyDistill.planning.free_memory.largest_holders"


@pytest.fixture
def scarce(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(FREE, lambda: 30_000_000_000)
    monkeypatch.setattr(HOLDERS, lambda: (Holder("LM Studio", 41_000_000_000),))
    return monkeypatch


async def test_a_run_that_needs_more_than_is_free_is_refused_and_not_made(
    client: httpx.AsyncClient, backend: Backend, scarce: pytest.MonkeyPatch
) -> None:
    refused = await client.post("/api/runs", json={"config": CONFIG, "start": True})
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "memory_in_use")
    assert "30.0 GB are free now. LM Studio holds" in problem["detail"]
    assert "start the run anyway" in problem["action"]
    assert list_runs(backend.settings.workspace) == []
    assert backend.supervisor.slot.queue == ()


async def test_it_is_made_and_queued_when_it_shall_start_anyway(
    client: httpx.AsyncClient, backend: Backend, scarce: pytest.MonkeyPatch
) -> None:
    body = {"config": CONFIG, "start": True, "anyway": True}
    made = await client.post("/api/runs", json=body)
    assert made.status_code == 201
    (entry,) = backend.supervisor.slot.queue
    assert (entry.run_id, entry.anyway) == (made.json()["run_id"], True)
    assert entry.needed_gb is not None
    assert entry.needed_gb > 80


async def test_it_can_be_made_without_starting(
    client: httpx.AsyncClient, scarce: pytest.MonkeyPatch
) -> None:
    made = await client.post("/api/runs", json={"config": CONFIG})
    assert made.status_code == 201
    run_id = made.json()["run_id"]
    refused = await client.post(f"/api/runs/{run_id}/start")
    assert (refused.status_code, refused.json()["code"]) == (409, "memory_in_use")
    started = await client.post(f"/api/runs/{run_id}/start", json={"anyway": True})
    assert started.json()["state"] == "queued"


async def test_a_resume_is_refused_and_asked_again_like_a_start(
    client: httpx.AsyncClient, make_run: MakeRun, scarce: pytest.MonkeyPatch
) -> None:
    run = make_run(steps=2)
    refused = await client.post(f"/api/runs/{run.run_id}/resume")
    assert (refused.status_code, refused.json()["code"]) == (409, "memory_in_use")
    again = await client.post(f"/api/runs/{run.run_id}/resume", json={"anyway": True})
    assert again.status_code == 200


async def test_a_duplicate_that_starts_is_judged_too(
    client: httpx.AsyncClient, make_run: MakeRun, scarce: pytest.MonkeyPatch
) -> None:
    run = make_run()
    path = f"/api/runs/{run.run_id}/duplicate"
    assert (await client.post(path, json={"start": True})).status_code == 409
    assert (await client.post(path, json={"start": True, "anyway": True})).status_code == 201


def test_behind_another_run_it_waits_for_memory_with_the_reason_and_then_starts(
    backend: Backend, make_run: MakeRun, scarce: pytest.MonkeyPatch
) -> None:
    """What the run before it holds now says nothing of what is free when its turn comes."""
    first, second = make_run(), make_run()
    started: list[str] = []
    scarce.setattr(
        supervising.Supervisor,
        "_start",
        lambda _, active, _waiting: started.append(active.run_id) or "",
    )
    enqueue(backend, first, "train", anyway=True)
    enqueue(backend, second, "train")
    backend.supervisor.dequeue(first.run_id)
    backend.supervisor.tick()
    assert started == []
    assert "LM Studio holds" in (backend.queue().blocked or "")
    assert backend.queue().waits_for_memory
    scarce.setattr(FREE, lambda: 10**12)
    backend.supervisor.tick()
    assert started == [second.run_id]
    assert (backend.queue().blocked, backend.queue().waits_for_memory) == (None, False)


def test_a_run_that_waits_for_memory_starts_when_it_is_told_to_anyway(
    backend: Backend, make_run: MakeRun, scarce: pytest.MonkeyPatch
) -> None:
    first, second = make_run(), make_run()
    enqueue(backend, first, "train", anyway=True)
    enqueue(backend, second, "train")
    enqueue(backend, second, "train", anyway=True)
    assert [entry.anyway for entry in backend.supervisor.slot.queue] == [True, True]


def test_a_run_that_cannot_be_forecast_is_not_refused(
    backend: Backend, make_run: MakeRun, scarce: pytest.MonkeyPatch
) -> None:
    run = make_run(teacher_model="nobody/knows-it")
    enqueue(backend, run, "train")
    (entry,) = backend.supervisor.slot.queue
    assert entry.needed_gb is None
    assert read_forecast(run) is None


def test_the_forecast_of_a_queued_run_is_kept_in_its_folder(
    backend: Backend, make_run: MakeRun
) -> None:
    run = make_run()
    enqueue(backend, run, "train")
    forecast = read_forecast(run)
    assert forecast is not None
    assert forecast.step_seconds > 0
    assert forecast.needed_gb > 80
