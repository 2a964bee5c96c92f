"""Checkpoints on disk: written aside, made durable, renamed; `best` and `last` are links."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import disk_errors, kind_of, read_plain, sync_whole
from OnPolicyDistill.runs.directory import RunDirectory

STATE_FILE = "state.json"
SMALL_BYTES = 1_000_000
# Six digits or as many as the step has; a superscript two is a digit to Python, too.
CHECKPOINT_NAME = re.compile(r"[0-9]{6,12}")
# Earlier checkpoints knew metrics of which lower is better only, and named these two after that.
OLDER_LEADING_STEP = AliasChoices("leading_step", "lowest_step")
OLDER_LEADING_METRIC = AliasChoices("leading_metric", "lowest_metric")


class TrainingState(BaseModel):
    """What a resume needs beside the arrays; random streams are derived from seed and step.

    What evaluations are compared by lies in the run (runs/prompt_values.py), found by these steps;
    `evaluations_since_best` counts from the last improvement (optim/stopping.py); `loss_tokens` is
    how many positions the last evaluation found worth learning, where a run lets it choose.
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
    loss_tokens: int | None = None


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
        # MLX reports a short write, by a full disk or by a broken one, as a RuntimeError.
        wanted = re.search(r"Unable to write (\d+) bytes", str(error))
        if wanted is None:
            raise
        is_full = shutil.disk_usage(folder).free < int(wanted[1]) + SMALL_BYTES
        raise OSError(errno.ENOSPC if is_full else errno.EIO, str(error), str(folder)) from error


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
        return TrainingState.model_validate_json(read_plain(file))
    except (OSError, RunError, ValueError) as error:
        raise RunError(
            f"The checkpoint {checkpoint} cannot be read ({error}).",
            "Resume from an earlier one with --from.",
        ) from error


def list_checkpoints(run: RunDirectory) -> list[Path]:
    """Return whole checkpoints, oldest first.

    One that is a link, or has anything but regular files, is none: it could lead anywhere.
    """
    if not _is_own_folder(run.checkpoints):
        return []
    with os.scandir(run.checkpoints) as entries:
        names = [entry.name for entry in entries if CHECKPOINT_NAME.fullmatch(entry.name)]
    found = [path for name in names if _is_whole(path := run.checkpoints / name)]
    return sorted(found, key=lambda path: int(path.name))


def _is_own_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_whole(checkpoint: Path) -> bool:
    if not _is_own_folder(checkpoint):
        return False
    with os.scandir(checkpoint) as entries:
        plain = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    return plain.get(STATE_FILE, False) and all(plain.values())


def last_checkpoint(run: RunDirectory) -> Path | None:
    """Return the newest whole checkpoint, or None."""
    found = list_checkpoints(run)
    return found[-1] if found else None


def pointed(run: RunDirectory, name: str) -> Path | None:
    """Return the checkpoint that `best` or `last` points at: a whole one of the run's, or None."""
    try:
        target = str((run.checkpoints / name).readlink())
    except OSError:
        return None
    return next((path for path in list_checkpoints(run) if path.name == target), None)


def exported(run: RunDirectory) -> Path | None:
    """Return the checkpoint that is exported unless another is named: the best, else the last.

    Its figures are the run's headline (`history.headline_step`).
    """
    return pointed(run, "best") or pointed(run, "last")


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
    """Size of a folder's regular files in bytes."""
    return sum(file.lstat().st_size for file in folder.iterdir() if kind_of(file) is None)
