"""The trash of a workspace: deleted runs, whole, until they are restored or removed for good.

A run's folder is moved beside the runs, to `<workspace>/trash/<run_id>`; its time of change is that
of the deletion. The screen shows the same trash.
"""

from __future__ import annotations

import os
from pathlib import Path

from OnPolicyDistill.errors import InputError, RunError
from OnPolicyDistill.files import make_private, remove_any
from OnPolicyDistill.runs.called import called, name_of
from OnPolicyDistill.runs.directory import RunDirectory, is_run_folder, run_of


def trash_of(run: RunDirectory) -> Path:
    """The trash of the workspace that a run is in."""
    return run.path.parent.parent / "trash"


def put_in_trash(run: RunDirectory) -> Path:
    """Move a run to the trash; one of its name that was there is gone. Returns where it is.

    Raises:
        RunError: it is being worked on.
    """
    if run.state() == "running":
        raise RunError(f"Run {called(run)} is running.", "Stop it before deleting it.")
    target = trash_of(run) / run.path.name
    make_private(target.parent)
    remove_any(target)
    run.path.rename(target)
    target.touch()
    return target


def trashed_runs(workspace: Path) -> list[RunDirectory]:
    """Deleted runs of a workspace, the last deleted first."""
    trash = workspace / "trash"
    if not trash.is_dir():
        return []
    with os.scandir(trash) as entries:
        folders = [trash / entry.name for entry in entries if is_run_folder(entry)]
    found = [path for path in folders if RunDirectory(path).is_there]
    by_time = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    return [RunDirectory(path) for path in by_time]


def restore(workspace: Path, name: str) -> RunDirectory:
    """Take a run out of the trash, by its id or by a name that it alone has there.

    Raises:
        InputError: it is not there, or a run of its id is back already.
    """
    trashed = trashed_runs(workspace)
    found = next((run for run in trashed if run.run_id == name), None)
    named = [run for run in trashed if name_of(run) == name]
    if found is None and len(named) == 1:
        found = named[0]
    if found is None:
        what = "is not in the trash" if not named else f"is the name of {len(named)} deleted runs"
        raise InputError(f"{name} {what}.", "List them with their ids: opd runs trash.")
    target = run_of(workspace, found.run_id).path
    if target.exists():
        message = f"There is a run {found.run_id} already."
        raise InputError(message, "Delete or move that one first.")
    found.path.rename(target)
    return RunDirectory(target)
