"""The index: kept fresh by looking at folders, and always what a rebuild would give."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event

from backend.backend import Backend
from backend.history.index import RunIndex, reindex
from backend.history.runlog import RunLogs
from backend.history.tables import INDEX_FILE, LAYOUT
from OnPolicyDistill.runs.annotations import Annotations, write_annotations
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import CheckpointSaved, RunResumed, StepFinished, Warned
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.runs.reporting import describe_machine
from tests.backend.conftest import MakeRun, eventually, write_steps

pytestmark = pytest.mark.timeout(60)


def rebuilt(workspace: Path, tmp_path: Path) -> list[object]:
    """Index a workspace from nothing, elsewhere."""
    other = tmp_path / "elsewhere"
    shutil.rmtree(other, ignore_errors=True)
    other.mkdir()
    (other / "runs").symlink_to(workspace / "runs")
    index = RunIndex(other, RunLogs())
    index.rebuild()
    contents = list(index.contents())
    index.engine.dispose()
    return contents


def change(run: RunDirectory, choice: random.Random) -> None:
    if not run.path.is_dir():
        return
    action = choice.choice(["steps", "resume", "note", "delete", "postmortem"])
    if action == "steps" and not run.events_file.exists():
        write_steps(run, choice.randint(1, 5))
    elif action == "note":
        write_annotations(run, Annotations(note=str(choice.random()), tags=("t",)))
    elif action == "delete" and choice.random() < 0.3:
        shutil.rmtree(run.path)
    elif run.events_file.exists():
        with EventWriter(run.events_file) as writer:
            writer.write(RunResumed(step=1, machine=describe_machine()))
            writer.write(StepFinished(step=2, metrics={"loss": choice.random()}))
            writer.write(CheckpointSaved(step=2, path="x", num_bytes=1))
            writer.write(Warned(step=2, code="x", message="y"))


@pytest.mark.parametrize("seed", range(3))
def test_the_index_equals_a_rebuilt_one_after_any_changes(
    backend: Backend, make_run: MakeRun, tmp_path: Path, seed: int
) -> None:
    choice = random.Random(seed)
    backend.watcher.start()
    runs: list[RunDirectory] = []
    for _ in range(25):
        if choice.random() < 0.3 or not runs:
            runs.append(make_run(f"run{len(runs)}"))
        run = choice.choice(runs)
        change(run, choice)
        # A log that grows without a process at work is nobody's doing but this test's.
        if run.path.is_dir():
            run.path.touch()
        backend.watcher.look()
    assert backend.index.contents() == rebuilt(backend.settings.workspace, tmp_path)


def test_a_watcher_that_was_away_sees_what_happened(backend: Backend, make_run: MakeRun) -> None:
    first, second = make_run(), make_run()
    backend.watcher.start()
    write_steps(first, 4)
    shutil.rmtree(second.path)
    third = make_run(steps=2)
    backend.watcher.start()
    found = backend.index.fingerprints()
    assert set(found) == {first.run_id, third.run_id}
    summary = backend.index.get(first.run_id)
    assert summary is not None
    assert summary.step == 4


def test_a_look_without_changes_finds_none(backend: Backend, make_run: MakeRun) -> None:
    make_run(steps=2)
    backend.watcher.start()
    assert backend.watcher.look().changed == ()


def test_a_run_that_appears_is_found_and_one_that_goes_is_missed(
    backend: Backend, make_run: MakeRun
) -> None:
    backend.watcher.start()
    run = make_run(steps=2)
    assert [summary.run_id for summary in backend.watcher.look().changed] == [run.run_id]
    shutil.rmtree(run.path)
    assert backend.watcher.look().removed == (run.run_id,)
    assert backend.index.get(run.run_id) is None


def test_the_index_can_be_deleted_and_rebuilt(
    backend: Backend, make_run: MakeRun, tmp_path: Path
) -> None:
    for _ in range(3):
        make_run(steps=2)
    backend.watcher.start()
    before = backend.index.contents()
    backend.index.engine.dispose()
    workspace = backend.settings.workspace
    for file in workspace.glob(f"{INDEX_FILE}*"):
        file.unlink()
    assert reindex(workspace) == 3
    index = RunIndex(workspace, RunLogs())
    assert index.contents() == before
    index.engine.dispose()


def test_a_damaged_run_is_listed_with_its_damage(backend: Backend, make_run: MakeRun) -> None:
    log, end, config = make_run(steps=3), make_run(steps=3), make_run()
    with end.events_file.open("ab") as stream:
        stream.write(b"not an event\n")
    lines = log.events_file.read_bytes().splitlines(keepends=True)
    log.events_file.write_bytes(b"".join([*lines[:2], b"\x00" * 20 + b"\n", *lines[3:]]))
    config.config_file.write_text("distillation: [")
    backend.watcher.start()
    for run, words in ((log, "Event 2"), (end, "Event 5"), (config, "not valid YAML")):
        summary = backend.index.get(run.run_id)
        assert summary is not None
        assert words in (summary.damage or "")


def test_undone_steps_do_not_count(backend: Backend, make_run: MakeRun) -> None:
    run = make_run(steps=5)
    with EventWriter(run.events_file) as writer:
        writer.write(RunResumed(step=2, machine=describe_machine()))
        writer.write(StepFinished(step=3, metrics={"loss": 0.9}))
    summary = backend.watcher.refresh(run.run_id)
    assert summary is not None
    assert summary.step == 3
    assert summary.metrics["loss"].minimum == 0.5
    assert "eval_reverse_kl" not in summary.metrics


def test_a_look_at_an_unchanged_run_writes_nothing(backend: Backend, make_run: MakeRun) -> None:
    run = make_run(steps=3)
    writes: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("SELECT"):
            writes.append(statement)

    event.listen(backend.index.engine, "before_cursor_execute", note)
    first = backend.watcher.refresh(run.run_id)
    assert writes
    writes.clear()
    assert backend.watcher.refresh(run.run_id) == first
    assert writes == []
    with EventWriter(run.events_file) as writer:
        writer.write(StepFinished(step=4, metrics={"loss": 0.9}))
    again = backend.watcher.refresh(run.run_id)
    assert writes
    assert again is not None
    assert again == backend.index.get(run.run_id)
    assert again.step == 4


@pytest.mark.parametrize("damage", ["garbage", "cut", "other tables", "folder", "pipe"])
def test_a_damaged_index_is_made_again(backend: Backend, make_run: MakeRun, damage: str) -> None:
    runs = {make_run(steps=2).run_id for _ in range(3)}
    backend.watcher.start()
    before = backend.index.contents()
    backend.index.engine.dispose()
    workspace = backend.settings.workspace
    spoil(workspace / INDEX_FILE, damage)
    index = RunIndex(workspace, RunLogs())
    index.reconcile()
    assert index.fingerprints().keys() == runs
    assert index.contents() == before
    index.engine.dispose()
    spoil(workspace / INDEX_FILE, damage)
    assert reindex(workspace) == 3


def spoil(file: Path, damage: str) -> None:
    data = file.read_bytes()
    for ending in ("", "-wal", "-shm"):
        file.with_name(f"{INDEX_FILE}{ending}").unlink(missing_ok=True)
    if damage == "folder":
        file.mkdir()
    elif damage == "pipe":
        os.mkfifo(file)
    elif damage == "other tables":
        with closing(sqlite3.connect(file)) as other:
            other.execute("CREATE TABLE runs (x)")
            other.execute(f"PRAGMA user_version = {LAYOUT}")
    else:
        file.write_bytes(b"no index" * 4096 if damage == "garbage" else data[: len(data) // 3])


async def test_an_index_that_is_damaged_while_the_backend_runs_is_made_again(
    backend: Backend, live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run(steps=2)
    await eventually(lambda: lists(live_client, {run.run_id}))
    file = backend.settings.workspace / INDEX_FILE
    backend.index.engine.dispose()
    file.write_bytes(b"\xff" * file.stat().st_size)
    for ending in ("-wal", "-shm"):
        file.with_name(f"{INDEX_FILE}{ending}").unlink(missing_ok=True)
    await eventually(lambda: lists(live_client, {run.run_id}))
    other = make_run(steps=2)
    await eventually(lambda: lists(live_client, {run.run_id, other.run_id}))


async def lists(client: httpx.AsyncClient, run_ids: set[str]) -> bool:
    response = await client.get("/api/runs")
    assert response.status_code in (200, 503), response.text
    return response.status_code == 200 and run_ids == {
        run["run_id"] for run in response.json()["runs"]
    }


async def test_folders_of_the_workspace_are_its_users_alone(
    backend: Backend, make_run: MakeRun
) -> None:
    run, workspace = make_run(), backend.settings.workspace
    for folder in (workspace, workspace / "runs", workspace / "trash", run.path):
        assert folder.stat().st_mode & 0o777 == 0o700
