"""Going on from a checkpoint over the API: the run itself, or a new one that begins there."""

from __future__ import annotations

import json
import os

import httpx
import pytest

from backend.backend import Backend
from backend.ranks import Chosen, keep, rank_options
from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.runs.checkpoints import TrainingState, point, save_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, create_run, list_runs
from OnPolicyDistill.runs.events import CheckpointSaved, RunFinished, RunPaused
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.settings.distillation import DistillationSettings
from tests.backend.conftest import write_steps
from tests.backend.test_headline import KEY, VALUES, finish


@pytest.fixture
def run(backend: Backend) -> RunDirectory:
    settings = DistillationSettings(num_steps=2, run_name="first")
    made = create_run(backend.settings.workspace, OnPolicyConfig(distillation=settings))
    write_steps(made, 2)
    with EventWriter(made.events_file) as log:
        for step in (1, 2):
            state = TrainingState(step=step, config_hash="x", seed=0, data_cursor=0, num_tokens=0)
            saved = save_checkpoint(made, state, lambda _folder: None)
            point(made, "last", saved)
            log.write(CheckpointSaved(step=step, path="checkpoints", num_bytes=1))
        log.write(RunPaused(step=2))
    return made


async def resume(client: httpx.AsyncClient, run: RunDirectory, step: int) -> httpx.Response:
    return await client.post(f"/api/runs/{run.run_id}/checkpoints/{step}/resume", json={})


async def test_from_its_newest_checkpoint_a_run_goes_on_itself(
    client: httpx.AsyncClient, backend: Backend, run: RunDirectory
) -> None:
    gone_on = (await resume(client, run, 2)).json()
    assert (gone_on["run_id"], gone_on["state"]) == (run.run_id, "queued")
    again = await resume(client, run, 2)
    assert (again.status_code, again.json()["code"]) == (409, "run_busy")
    assert list_runs(backend.settings.workspace) == [run]


async def test_from_an_earlier_one_a_new_run_goes_on_and_nothing_is_undone(
    client: httpx.AsyncClient, backend: Backend, run: RunDirectory
) -> None:
    log = run.events_file.read_bytes()
    made = (await resume(client, run, 1)).json()
    assert made["run_id"] != run.run_id
    assert (made["name"], made["state"], made["step"]) == ("first from step 1", "queued", 1)
    assert run.events_file.read_bytes() == log
    assert (run.checkpoints / "000002").is_dir()
    (waiting,) = backend.queue().queue
    assert (waiting.run_id, waiting.verb) == (made["run_id"], "resume")


async def test_what_goes_on_works_on_the_ranks_of_the_run_or_on_those_that_are_named(
    client: httpx.AsyncClient, backend: Backend, run: RunDirectory
) -> None:
    workspace = backend.settings.workspace
    keep(workspace, run.run_id, Chosen(num_ranks=2))
    made = (await resume(client, run, 1)).json()["run_id"]
    assert rank_options(workspace, made) == ["-n", "2"]
    path = f"/api/runs/{run.run_id}/checkpoints"
    where = {"where": {"ranks": 3}}
    other = (await client.post(f"{path}/1/resume", json=where)).json()["run_id"]
    assert rank_options(workspace, other) == ["-n", "3"]
    assert rank_options(workspace, run.run_id) == ["-n", "2"]
    await client.post(f"{path}/2/resume", json=where)
    assert rank_options(workspace, run.run_id) == ["-n", "3"]


async def test_hosts_that_were_not_confirmed_make_no_run_from_a_checkpoint(
    client: httpx.AsyncClient, backend: Backend, run: RunDirectory
) -> None:
    hosts = backend.settings.workspace / "hosts.json"
    here, other = ({"ssh": "here", "ips": ["127.0.0.1"]}, {"ssh": "other", "ips": ["192.0.2.7"]})
    hosts.write_text(json.dumps({"hosts": [here, other]}))
    path = f"/api/runs/{run.run_id}/checkpoints/1/resume"
    refused = await client.post(path, json={"where": {"hosts": str(hosts)}})
    assert (refused.status_code, refused.json()["code"]) == (409, "confirm_hosts")
    assert list_runs(backend.settings.workspace) == [run]


async def test_what_a_killed_process_left_half_copied_is_removed_by_the_next_copy(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    old, new = (run.path.with_name(f".distill_{name}.partial") for name in ("old", "new"))
    for folder in (old, new):
        (folder / "checkpoints").mkdir(parents=True)
    os.utime(old, (0, 0))
    assert (await resume(client, run, 1)).is_success
    assert (old.exists(), new.exists()) == (False, True)


async def test_a_finished_run_is_gone_on_from_in_a_new_one(
    client: httpx.AsyncClient, run: RunDirectory
) -> None:
    with EventWriter(run.events_file) as log:
        log.write(RunFinished(step=2, because="completed", report={}))
    assert (await resume(client, run, 2)).json()["run_id"] != run.run_id
    assert run.state() == "finished"


async def test_a_checkpoint_that_is_not_there_makes_no_run(
    client: httpx.AsyncClient, backend: Backend, run: RunDirectory
) -> None:
    missing = await resume(client, run, 7)
    assert missing.status_code == 422
    assert "no checkpoint of step 7" in missing.text
    assert list_runs(backend.settings.workspace) == [run]


async def test_checkpoints_carry_what_was_measured_at_their_steps(
    client: httpx.AsyncClient, backend: Backend
) -> None:
    run = create_run(backend.settings.workspace, OnPolicyConfig())
    finish(run, VALUES, best=20)
    rows = (await client.get(f"/api/runs/{run.run_id}/checkpoints")).json()["checkpoints"]
    assert [(row["step"], row["metrics"][KEY]) for row in rows] == [(20, 0.5), (40, 0.8)]
    assert rows[0]["intervals"][KEY] == {"low": pytest.approx(0.4), "high": pytest.approx(0.6)}
    assert rows[1]["metrics"]["divergence"] == 0.8
    assert not any(key.endswith((".low", ".high")) for key in rows[0]["metrics"])
