"""What can be done to a run's folder: make, annotate, delete, restore."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from backend.backend import Backend
from backend.history.summary import created_time
from backend.history.views import RunSummary, View
from backend.problems import ConflictError, NotFoundError
from backend.ranks import HERE, RanksAsked, choose, forget, keep
from backend.starting import check_start, enqueue
from backend.system.room import check_disk
from OnPolicyDistill.config import (
    BLOCK_OF_METHOD,
    RunConfig,
    parse_config,
    settings_of,
    with_overrides,
)
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.methods import endpoints_of
from OnPolicyDistill.runs.annotations import (
    MAX_NAME_CHARACTERS,
    Annotations,
    read_annotations,
    write_annotations,
)
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.trash import put_in_trash, trashed_runs


class TrashedRun(View):
    """A deleted run that can still be restored."""

    run_id: str
    name: str
    created: float
    deleted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """How a run is made: whether it is queued, even where memory is short, and on which ranks.

    `confirm` says that prompts may leave this machine.
    """

    start: bool
    anyway: bool = False
    confirm: bool = False
    ranks: RanksAsked = HERE


def make_run(
    backend: Backend, values: Mapping[str, object], annotations: Annotations, how: Making
) -> RunDirectory:
    """Make a run from plain config values, and queue it if asked to.

    Raises:
        ConfigError: a setting is wrong; every location is named.
        ConflictError: prompts would leave this machine, or this program be started on others, and
            that is not confirmed.
        DiskFullError: there is no room.
        MemoryInUseError: it would start now, needs more than is free, and `anyway` is false.
    """
    config = parse_config(dict(values))
    if not how.confirm:
        _refuse_leaving(config)
    chosen = choose(backend.settings, how.ranks, config)
    check_disk(backend.settings)
    if how.start:
        check_start(backend, config, how.anyway, chosen.num_here)
    run = create_run(backend.settings.workspace, config)
    keep(backend.settings.workspace, run.run_id, chosen)
    if annotations != Annotations():
        write_annotations(run, annotations)
    if how.start:
        enqueue(backend, run, "train", anyway=True)
    return run


def _refuse_leaving(config: RunConfig) -> None:
    """Ask once before a run is made whose prompts go to a teacher on another machine."""
    endpoints = endpoints_of(settings_of(config)).values()
    leaving = [endpoint.base for endpoint in endpoints if endpoint.leaves_machine]
    if leaving:
        where = " and ".join(dict.fromkeys(leaving))
        raise ConflictError(
            f"This run sends its prompts and completions to {where}, out of this machine.",
            "Confirm that they may leave it, or take a teacher that runs here.",
            code="leaves_machine",
        )


def duplicate(run: RunDirectory, changes: dict[str, object]) -> dict[str, object]:
    """Return a run's config values with some keys changed; its name is not taken along."""
    config = run.config()
    values: dict[str, object] = config.model_dump(mode="json")
    block = BLOCK_OF_METHOD[config.method]
    return with_overrides(with_overrides(values, {f"{block}.run_name": None}), changes)


def name_again(other: RunSummary) -> str | None:
    """What a duplicate is called; nothing where the other has no name but its id."""
    return None if other.name == other.run_id else f"{other.name} again"[:MAX_NAME_CHARACTERS]


def annotate(run: RunDirectory, change: Mapping[str, object]) -> None:
    """Change some of a run's annotations."""
    before = read_annotations(run)
    after = Annotations.model_validate({**before.model_dump(), **change})
    if after != before:
        write_annotations(run, after)


def delete_run(backend: Backend, run_id: str) -> None:
    """Move a run to the trash; one that is there already stays there.

    Raises:
        ConflictError: it is at work or waits.
        NotFoundError: there is no such run.
    """
    trashed = backend.settings.trash / run_id
    if trashed.is_dir() and not backend.directory(run_id).path.exists():
        return
    run = backend.there(run_id)
    worker = run.worker()
    is_at_work = worker is not None and worker.is_alive()
    if is_at_work or backend.supervisor.is_busy_with(run_id):
        raise ConflictError(
            f"Run {called(run)} is at work or waits in the queue.",
            "Stop it first.",
            code="run_busy",
        )
    put_in_trash(run)
    backend.removed(run_id)


def restore_run(backend: Backend, run_id: str) -> None:
    """Take a run out of the trash; one that is not deleted stays as it is.

    Raises:
        NotFoundError: there is no such run, deleted or not.
    """
    run, trashed = backend.directory(run_id), backend.settings.trash / run_id
    if run.path.is_dir():
        return
    if not trashed.is_dir() or trashed.is_symlink():
        raise NotFoundError(f"Run {run_id} is not in the trash.", "It may have been purged.")
    trashed.rename(run.path)


def purge_run(backend: Backend, run_id: str) -> None:
    """Remove a deleted run for good; one that is gone stays gone."""
    shutil.rmtree(backend.settings.trash / run_id, ignore_errors=True)
    if not backend.directory(run_id).path.exists():
        forget(backend.settings.workspace, run_id)


def list_trash(backend: Backend) -> tuple[TrashedRun, ...]:
    """Return deleted runs, the last deleted first."""
    return tuple(_describe(run) for run in trashed_runs(backend.settings.workspace))


def _describe(run: RunDirectory) -> TrashedRun:
    try:
        name = read_annotations(run).name or run.run_id
    except RunError:
        name = run.run_id
    deleted = run.path.stat().st_mtime
    return TrashedRun(run_id=run.run_id, name=name, created=created_time(run), deleted=deleted)
