"""The supervisor over real processes: one slot, a queue, restarts, and every death explained."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from backend.backend import Backend
from backend.settings import BackendSettings
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import RunFinished
from OnPolicyDistill.runs.log import last_event, read_events
from OnPolicyDistill.runs.postmortem import PostMortem, read_postmortem
from tests.backend.conftest import FAKE_WORKER, MakeRun, client_of, eventually, release, wait_until

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(autouse=True)
def no_worker_is_left(settings: BackendSettings) -> Iterator[None]:
    yield
    for folder in settings.runs.iterdir():
        worker = RunDirectory(folder).worker()
        if worker is not None and worker.is_alive():
            os.kill(worker.pid, signal.SIGKILL)


async def state_of(client: httpx.AsyncClient, run: RunDirectory) -> str:
    response = await client.get(f"/api/runs/{run.run_id}")
    return str(response.json()["run"]["state"])


async def until(client: httpx.AsyncClient, run: RunDirectory, *states: str) -> None:
    async def is_there() -> bool:
        return await state_of(client, run) in states

    await eventually(is_there)


async def do(
    client: httpx.AsyncClient, run: RunDirectory, action: str, status: int = 200
) -> dict[str, object]:
    response = await client.post(f"/api/runs/{run.run_id}/{action}")
    assert response.status_code == status, response.text
    answer: dict[str, object] = response.json()
    return answer


async def test_a_run_starts_works_and_finishes(
    live_client: httpx.AsyncClient, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPD_TOKEN", "secret-token")
    monkeypatch.setenv("FORCE_COLOR", "1")
    run = make_run("steps=3")
    assert (await do(live_client, run, "start"))["state"] in ("queued", "starting")
    await until(live_client, run, "finished")
    detail = (await live_client.get(f"/api/runs/{run.run_id}")).json()
    assert detail["run"]["step"] == 3
    assert detail["report"] == {"eval_accuracy": 0.9}
    assert detail["postmortem"] is None
    log = (await live_client.get(f"/api/runs/{run.run_id}/log")).json()["text"]
    assert f"fake worker: train {run.run_id}" in log
    assert "secret-token" not in log
    assert "colour is forced: False" in log
    await do(live_client, run, "start", 409)
    await do(live_client, run, "resume", 409)


async def test_pause_and_resume_go_on_from_the_checkpoint(
    live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run("steps=2000 pause=0.05")
    await do(live_client, run, "start")
    await until(live_client, run, "running")
    worker = run.worker()
    assert worker is not None
    # Held meanwhile: a worker that has paused already refuses to be paused again.
    os.kill(worker.pid, signal.SIGSTOP)
    assert (await do(live_client, run, "pause"))["state"] == "stopping"
    await do(live_client, run, "pause")
    os.kill(worker.pid, signal.SIGCONT)
    await until(live_client, run, "paused")
    assert read_postmortem(run) is None
    await do(live_client, run, "pause", 409)
    await do(live_client, run, "resume")
    await until(live_client, run, "running")
    await do(live_client, run, "stop")
    await until(live_client, run, "finished")
    event = last_event(run.events_file)
    assert isinstance(event, RunFinished)
    assert event.because == "stopped"
    assert [event.seq for event in read_events(run.events_file)] == list(range(event.seq + 1))


async def test_a_resume_right_after_a_pause_is_not_lost(
    live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run("steps=2000 pause=0.05")
    await do(live_client, run, "start")
    await until(live_client, run, "running")
    await do(live_client, run, "pause")

    async def has_paused() -> bool:
        event = last_event(run.events_file)
        return event is not None and event.kind == "run_paused"

    await eventually(has_paused)
    await do(live_client, run, "resume")

    async def has_resumed() -> bool:
        return any(event.kind == "run_resumed" for event in read_events(run.events_file))

    await eventually(has_resumed)


async def test_a_kill_ends_it_at_once_and_says_where_to_resume(
    live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run("steps=2000 pause=0.02 deaf=1")
    await do(live_client, run, "start")
    await until(live_client, run, "running")

    async def has_checkpoint() -> bool:
        return (run.checkpoints / "last").exists()

    await eventually(has_checkpoint)
    await do(live_client, run, "kill")
    await until(live_client, run, "interrupted")
    postmortem = await postmortem_of(live_client, run)
    assert (postmortem.cause, postmortem.signal) == ("stopped", "SIGKILL")
    assert "Resume from step" in postmortem.action


async def postmortem_of(client: httpx.AsyncClient, run: RunDirectory) -> PostMortem:
    found: list[dict[str, object]] = []

    async def is_written() -> bool:
        detail = (await client.get(f"/api/runs/{run.run_id}")).json()
        found.append(detail["postmortem"])
        return detail["postmortem"] is not None

    await eventually(is_written)
    return PostMortem.model_validate(found[-1])


@pytest.mark.parametrize(
    ("die", "cause", "words"),
    [
        ("kill@3", "killed", "ended by SIGKILL at step 3"),
        ("abort@3", "crashed", "ended by SIGABRT at step 3"),
        ("memory@3", "memory", "stopped for memory at step 3"),
        ("resources@3", "gpu_resources", "more separate pieces of the GPU's memory"),
        ("exit@3", "crashed", "exit code 7. It said: something odd happened"),
        ("fail@3", "error", "told to fail"),
        ("start@0", "not_started", "the model folder is empty"),
    ],
)
async def test_every_death_is_explained(
    live_client: httpx.AsyncClient, make_run: MakeRun, die: str, cause: str, words: str
) -> None:
    run = make_run(f"steps=9 die={die}")
    await do(live_client, run, "start")
    postmortem = await postmortem_of(live_client, run)
    assert postmortem.cause == cause
    assert words in postmortem.message
    assert postmortem.log_tail
    if cause != "not_started":
        assert postmortem.resume_from == 2
        assert "Resume from step 2." in postmortem.action
        await do(live_client, run, "resume")
        await until(live_client, run, "finished")
        detail = (await live_client.get(f"/api/runs/{run.run_id}")).json()
        assert detail["postmortem"] is None
        assert detail["run"]["step"] == 9


async def test_one_works_while_the_others_wait_in_order(
    live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    first = make_run("steps=2000 pause=0.05")
    waiting = [make_run("steps=1") for _ in range(3)]
    await do(live_client, first, "start")
    await until(live_client, first, "running")
    for run in waiting:
        await do(live_client, run, "start")
        await do(live_client, run, "start")
    ids = [run.run_id for run in waiting]
    queue = (await live_client.get("/api/queue")).json()
    assert [entry["run_id"] for entry in queue["queue"]] == ids
    assert queue["active"]["run_id"] == first.run_id
    summary = (await live_client.get(f"/api/runs/{ids[2]}")).json()["run"]
    assert (summary["state"], summary["queue_position"]) == ("queued", 2)
    listed = (await live_client.get("/api/runs", params={"state": "queued"})).json()
    assert listed["total"] == 3
    assert (await live_client.delete(f"/api/runs/{ids[0]}")).status_code == 409
    order = {"run_ids": [ids[2], ids[0], ids[1]]}
    assert (await live_client.put("/api/queue", json=order)).status_code == 200
    assert (await live_client.put("/api/queue", json={"run_ids": ids[:2]})).status_code == 409
    await live_client.delete(f"/api/queue/{ids[1]}")
    await do(live_client, first, "stop")
    await until(live_client, waiting[0], "finished")
    ended = [next(iter(read_events(run.events_file))).time for run in (waiting[2], waiting[0])]
    assert ended == sorted(ended)
    assert await state_of(live_client, waiting[1]) == "created"


async def test_a_run_of_the_command_line_holds_the_slot(
    live_client: httpx.AsyncClient, backend: Backend, make_run: MakeRun
) -> None:
    outside, inside = make_run("steps=2000 pause=0.05"), make_run("steps=1")
    command = [sys.executable, str(FAKE_WORKER), "train", "--run", outside.run_id, "--workspace"]
    process = await asyncio.create_subprocess_exec(*command, str(backend.settings.workspace))
    try:
        await until(live_client, outside, "running")
        await do(live_client, inside, "start")

        async def is_blocked() -> bool:
            blocked = (await live_client.get("/api/queue")).json()["blocked"]
            return blocked is not None and outside.run_id in blocked

        await eventually(is_blocked)
        await do(live_client, outside, "pause")
        await until(live_client, inside, "finished")
        assert await process.wait() == 130
    finally:
        if process.returncode is None:
            process.kill()
    assert await state_of(live_client, outside) == "paused"


async def test_an_unwatched_death_is_explained_too(
    live_client: httpx.AsyncClient, backend: Backend, make_run: MakeRun
) -> None:
    run = make_run("steps=9 die=kill@3")
    command = [sys.executable, str(FAKE_WORKER), "train", "--run", run.run_id, "--workspace"]
    process = await asyncio.create_subprocess_exec(*command, str(backend.settings.workspace))
    assert await process.wait() == -signal.SIGKILL
    postmortem = await postmortem_of(live_client, run)
    assert postmortem.cause == "vanished"


async def test_a_restarted_backend_adopts_the_run_and_the_queue(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    working, waiting = make_run("steps=2000 pause=0.05"), make_run("steps=1")
    first = Backend(settings)
    async with first.running(), client_of(first) as client:
        await do(client, working, "start")
        await until(client, working, "running")
        await do(client, waiting, "start")
    worker = working.worker()
    assert worker is not None
    assert worker.is_alive()
    second = Backend(settings)
    async with second.running(), client_of(second) as client:
        queue = (await client.get("/api/queue")).json()
        assert queue["active"]["run_id"] == working.run_id
        assert await state_of(client, working) == "running"
        assert await state_of(client, waiting) == "queued"
        await do(client, working, "pause")
        await until(client, waiting, "finished")
        assert await state_of(client, working) == "paused"
    reap(first)
    release(second)


@pytest.mark.parametrize("how", ["outside", "api"])
async def test_a_resume_right_after_a_death_is_kept(
    live_client: httpx.AsyncClient, make_run: MakeRun, how: str
) -> None:
    """Before the supervisor has noticed: it looks every 0.2 s."""
    run = make_run("steps=200 pause=0.02")
    await do(live_client, run, "start")
    await until(live_client, run, "running")
    # Killed before its first event, it would rightly begin anew instead of being resumed.
    wait_until(lambda: last_event(run.events_file) is not None)
    worker = run.worker()
    assert worker is not None
    if how == "api":
        await do(live_client, run, "kill")
    else:
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: not worker.is_alive())
    assert (await do(live_client, run, "resume"))["state"] in ("queued", "stopping", "starting")
    await until(live_client, run, "finished")
    kinds = [event.kind for event in read_events(run.events_file)]
    assert kinds.count("run_resumed") == 1


async def test_a_restarted_backend_marks_the_dead(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run("steps=2000 pause=0.05")
    first = Backend(settings)
    async with first.running(), client_of(first) as client:
        await do(client, run, "start")
        await until(client, run, "running")
    worker = run.worker()
    assert worker is not None
    os.killpg(worker.pid, signal.SIGKILL)
    reap(first)
    second = Backend(settings)
    async with second.running(), client_of(second) as client:
        assert (await postmortem_of(client, run)).cause == "vanished"
        assert await state_of(client, run) == "interrupted"
        assert (await client.get("/api/queue")).json()["active"] is None
    release(second)


def reap(backend: Backend) -> None:
    """Do what the system does for children of a process that ended."""
    process = backend.supervisor.process
    assert process is not None
    process.wait(20)


async def test_a_worker_that_does_not_stop_in_time_is_ended(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run("steps=2000 pause=0.02 deaf=1")
    backend = Backend(replace(settings, stop_grace_seconds=0.5))
    async with backend.running(), client_of(backend) as client:
        await do(client, run, "start")
        await until(client, run, "running")
        await do(client, run, "pause")
        postmortem = await postmortem_of(client, run)
    assert (postmortem.cause, postmortem.signal) == ("stopped", "SIGKILL")
    assert "did not stop in time" in postmortem.message
    release(backend)


async def test_no_run_starts_without_room_and_one_at_work_is_paused(
    backend: Backend, live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    working, waiting = make_run("steps=2000 pause=0.05"), make_run("steps=1")
    await do(live_client, working, "start")
    await until(live_client, working, "running")
    await do(live_client, waiting, "start")
    object.__setattr__(backend.supervisor.settings, "min_free_disk_gb", 1e9)
    await until(live_client, working, "paused")
    postmortem = await postmortem_of(live_client, working)
    assert (postmortem.cause, postmortem.exit_code) == ("disk_full", 130)
    assert "GB left" in postmortem.message
    await do(live_client, working, "resume", 507)
    queue = (await live_client.get("/api/queue")).json()
    assert "GB left" in queue["blocked"]
    object.__setattr__(backend.supervisor.settings, "min_free_disk_gb", 0.0)
    await until(live_client, waiting, "finished")


async def test_low_memory_keeps_runs_from_starting(
    backend: Backend, live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    object.__setattr__(backend.supervisor.settings, "min_free_memory_gb", 1e9)
    answer = await do(live_client, make_run(), "start", 409)
    assert answer["code"] == "low_memory"


async def test_memory_that_stays_low_pauses_the_run_at_work(
    backend: Backend, live_client: httpx.AsyncClient, make_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("backend.supervisor.supervisor.LOW_MEMORY_TICKS", 3)
    run = make_run("steps=2000 pause=0.05")
    await do(live_client, run, "start")
    await until(live_client, run, "running")
    object.__setattr__(backend.supervisor.settings, "min_free_memory_gb", 1e9)
    await until(live_client, run, "paused")
    postmortem = await postmortem_of(live_client, run)
    assert postmortem.cause == "memory"
    assert "of memory left" in postmortem.message
    answer = await do(live_client, run, "resume", 409)
    assert answer["code"] == "low_memory"


async def test_a_worker_that_cannot_be_started_does_not_stop_the_queue(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run()
    backend = Backend(replace(settings, worker_command=("/nowhere/python",)))
    async with backend.running(), client_of(backend) as client:
        await do(client, run, "start")
        postmortem = await postmortem_of(client, run)
        assert postmortem.cause == "not_started"
        assert "/nowhere/python" in postmortem.message
        assert (await client.get("/api/queue")).json()["active"] is None


def test_a_start_cut_off_by_a_crash_is_tried_again(
    settings: BackendSettings, make_run: MakeRun, backend: Backend
) -> None:
    run = make_run("steps=1")
    slot_file = settings.workspace / "supervisor.json"
    slot_file.write_text(f'{{"active": {{"run_id": "{run.run_id}", "verb": "train"}}}}')
    again = Backend(settings)
    assert [entry.run_id for entry in again.supervisor.slot.queue] == [run.run_id]
    again.supervisor.tick()
    wait_until(lambda: run.state() == "finished")
    release(again)


def test_a_damaged_slot_file_is_an_empty_slot(settings: BackendSettings, backend: Backend) -> None:
    (settings.workspace / "supervisor.json").write_text("{")
    again = Backend(settings)
    assert again.queue().active is None
    again.index.engine.dispose()


def test_a_run_that_was_told_to_be_running_holds_the_slot_before_the_next_look(
    backend: Backend, make_run: MakeRun
) -> None:
    outside = make_run()
    with outside.occupied():
        assert backend.summary(outside.run_id).state == "running"
        assert outside.run_id in backend.watcher.running
    backend.watcher.look()
    assert outside.run_id not in backend.watcher.running
