"""Checkpoints on disk: written aside, made durable, renamed; `best` and `last` are links."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import disk_errors, sync_whole
from OnPolicyDistill.runs.directory import RunDirectory

STATE_FILE = "state.json"
# Earlier checkpoints knew metrics of which lower is better only, and named these two after that.
OLDER_LEADING_STEP = AliasChoices("leading_step", "lowest_step")
OLDER_LEADING_METRIC = AliasChoices("leading_metric", "lowest_metric")


class TrainingState(BaseModel):
    """What a resume needs beside the arrays; random streams are derived from seed and step.

    What evaluations are compared by lies in the run (runs/prompt_values.py), found by these steps;
    `evaluations_since_best` counts from the last improvement (optim/stopping.py).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    config_hash: str
    seed: int
    data_cursor: int
    num_tokens: int
    first_metric: float | None = None
    best_metric: float | None = None
    best_step: int | None = None
    improved_step: int | None = None
    leading_step: int | None = Field(None, validation_alias=OLDER_LEADING_STEP)
    leading_metric: float | None = Field(None, validation_alias=OLDER_LEADING_METRIC)
    evaluations_since_best: int = 0
    evaluations_far_off: int = 0
    evaluated_step: int = -1
    train_seconds: float = 0.0


def save_checkpoint(
    run: RunDirectory, state: TrainingState, write_arrays: Callable[[Path], None]
) -> Path:
    """Write a checkpoint that is either whole or not there; moves `last` to it.

    `write_arrays` puts its files into the folder it is given.
    """
    final = run.checkpoints / f"{state.step:06d}"
    partial = run.checkpoints / f".{final.name}.partial"
    _discard_partial(run)
    with disk_errors(final):
        try:
            partial.mkdir(parents=True)
            _write(write_arrays, partial)
            (partial / STATE_FILE).write_text(state.model_dump_json(indent=1), encoding="utf-8")
            for file in partial.iterdir():
                sync_whole(file)
            sync_whole(partial)
            shutil.rmtree(final, ignore_errors=True)
            partial.rename(final)
            sync_whole(run.checkpoints)
        finally:
            _discard_partial(run)
        point(run, "last", final)
    return final


def _write(write_arrays: Callable[[Path], None], folder: Path) -> None:
    try:
        write_arrays(folder)
    except RuntimeError as error:
        # MLX reports a short write, which is what a full disk gives, as a RuntimeError.
        if "Unable to write" not in str(error):
            raise
        raise OSError(errno.ENOSPC, str(error)) from error


def _discard_partial(run: RunDirectory) -> None:
    for path in run.checkpoints.glob(".*.partial"):
        shutil.rmtree(path, ignore_errors=True)


def point(run: RunDirectory, name: str, checkpoint: Path) -> None:
    """Make `checkpoints/<name>` a link to a checkpoint, in one step."""
    temporary = run.checkpoints / f".{name}.link"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(checkpoint.name)
    temporary.replace(run.checkpoints / name)
    sync_whole(run.checkpoints)


def read_state(checkpoint: Path) -> TrainingState:
    """Read a checkpoint's state.

    Raises:
        RunError: the file is missing or damaged.
    """
    file = checkpoint / STATE_FILE
    try:
        return TrainingState.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise RunError(
            f"The checkpoint {checkpoint} cannot be read ({error}).",
            "Resume from an earlier one with --from.",
        ) from error


def list_checkpoints(run: RunDirectory) -> list[Path]:
    """Return whole checkpoints, oldest first."""
    if not run.checkpoints.is_dir():
        return []
    found = [
        path
        for path in run.checkpoints.iterdir()
        if path.name.isdigit() and (path / STATE_FILE).is_file()
    ]
    return sorted(found, key=lambda path: int(path.name))


def last_checkpoint(run: RunDirectory) -> Path | None:
    """Return the newest whole checkpoint, or None."""
    found = list_checkpoints(run)
    return found[-1] if found else None


def pointed(run: RunDirectory, name: str) -> Path | None:
    """Return the checkpoint that `best` or `last` points at, or None."""
    link = run.checkpoints / name
    return link.resolve() if link.is_dir() else None


def prune_checkpoints(
    run: RunDirectory, keep: int, is_scheduled: Callable[[int], bool] = lambda _step: True
) -> None:
    """Remove all but the newest `keep` scheduled ones, the best checkpoint and the newest of all.

    What the clock or a pause wrote between those goes with the next checkpoint, so that
    it never pushes one of them out.
    """
    best = pointed(run, "best")
    found = list_checkpoints(run)
    scheduled = [path for path in found if is_scheduled(int(path.name))]
    kept = {path.name for path in (*found[-1:], *scheduled[-keep:])}
    for path in found:
        if path.name not in kept and (best is None or path.name != best.name):
            shutil.rmtree(path, ignore_errors=True)


def discard_checkpoints_after(run: RunDirectory, step: int) -> None:
    """Remove checkpoints of undone steps, when a resume starts from an earlier one."""
    for path in list_checkpoints(run):
        if int(path.name) > step:
            shutil.rmtree(path, ignore_errors=True)


def directory_bytes(folder: Path) -> int:
    """Size of a folder's files in bytes."""
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
