"""A run that goes on from an earlier checkpoint of another, which stays as it is.

To resume takes a run up where its newest checkpoint stands. From an earlier one that would undo
every step, evaluation and checkpoint behind it; here they stay, and a new run begins as a copy of
what the old one was at that step, paused (docs/decisions/0039).
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from OnPolicyDistill.config import settings_of
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import disk_errors, remove_any
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.runs.annotations import Annotations, read_annotations, write_annotations
from OnPolicyDistill.runs.checkpoints import exported, list_checkpoints, point, read_state
from OnPolicyDistill.runs.directory import RunDirectory, new_directory
from OnPolicyDistill.runs.events import CheckpointSaved, RolloutSampled, RunPaused, RunStarted
from OnPolicyDistill.runs.log import EventWriter, read_events_from
from OnPolicyDistill.runs.prompt_values import discard_values_after

# What a run made before its first step, or knows of its prompts: the same in both runs.
CARRIED_FILES = ("config.yaml", "pictures.json", "forecast.json", "completions.jsonl")
CARRIED_FOLDERS = ("evaluations", "evaluation", "generated", "pictures")
MAX_NAME = 120
# Nothing is copied for so long: whoever made such a folder was killed at it.
LEFT_BEHIND_SECONDS = 86_400.0


def goes_on_in_place(run: RunDirectory, checkpoint: Path) -> bool:
    """Whether to go on from a checkpoint undoes nothing that is kept.

    So it is with the newest one of a run that is not finished.
    """
    return checkpoint == list_checkpoints(run)[-1] and run.state() != "finished"


def branch(run: RunDirectory, checkpoint: Path) -> RunDirectory:
    """Make a paused run of what a run was at one of its checkpoints; the run itself stays.

    Raises:
        RunError: the run's log does not tell of the checkpoint, or is damaged.
        DiskError: there is no room.
    """
    _discard_left_behind(run.path.parent)
    step = read_state(checkpoint).step
    log_end, rollouts_end = _ends(run, step)
    made = new_directory(run.path.parent, FACTS[run.config().method].run_prefix)
    # Whole at once: a folder that begins with a dot is no run yet.
    aside = RunDirectory(made.path.with_name(f".{made.path.name}.partial"))
    try:
        with disk_errors(aside.path):
            aside.path.mkdir(mode=0o700)
            _carry(run, aside, step)
            _carry_checkpoints(run, aside, checkpoint)
            _copy_until(run.rollouts_file, aside.rollouts_file, rollouts_end)
            _copy_until(run.events_file, aside.events_file, log_end)
        _name(run, made, aside, step)
        aside.path.rename(made.path)
    except BaseException:
        shutil.rmtree(aside.path, ignore_errors=True)
        shutil.rmtree(made.path, ignore_errors=True)
        raise
    return made


def _discard_left_behind(runs: Path) -> None:
    """Remove copies that were never finished: no list shows them, and they are large."""
    for path in runs.glob(".*.partial"):
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > LEFT_BEHIND_SECONDS:
                remove_any(path)


def _ends(run: RunDirectory, step: int) -> tuple[int, int | None]:
    """Where log and rollouts of a checkpoint end, in bytes; None for all rollouts there are."""
    log_end, rollouts_end = None, None
    for event, position in read_events_from(run.events_file, 0):
        match event:
            case CheckpointSaved() if event.step == step:
                # One that was saved again after a resume is the later one.
                log_end, rollouts_end = position, None
            case RolloutSampled() if log_end is not None and rollouts_end is None:
                rollouts_end = event.offset
            case _:
                pass
    if log_end is None:
        raise RunError(
            f"The log of {run.run_id} does not tell of a checkpoint at step {step}.",
            "Take another one.",
        )
    return log_end, rollouts_end


def _carry(run: RunDirectory, target: RunDirectory, step: int) -> None:
    for name in CARRIED_FILES:
        if (run.path / name).is_file():
            shutil.copyfile(run.path / name, target.path / name)
    for name in CARRIED_FOLDERS:
        if (run.path / name).is_dir():
            shutil.copytree(run.path / name, target.path / name)
    discard_values_after(target, step)


def _carry_checkpoints(run: RunDirectory, target: RunDirectory, checkpoint: Path) -> None:
    """Copy the checkpoint, and with it the best one until then, which is what may be exported."""
    target.checkpoints.mkdir()
    best_step = read_state(checkpoint).best_step
    for path in list_checkpoints(run):
        is_best = int(path.name) == best_step
        if is_best or path == checkpoint:
            shutil.copytree(path, target.checkpoints / path.name)
        if is_best:
            point(target, "best", target.checkpoints / path.name)
    point(target, "last", target.checkpoints / checkpoint.name)
    assert exported(target) is not None


def _copy_until(source: Path, target: Path, end: int | None) -> None:
    """Copy the beginning of a file; None is all of it."""
    if not source.is_file():
        return
    shutil.copyfile(source, target)
    if end is not None:
        os.truncate(target, end)


def _name(run: RunDirectory, made: RunDirectory, aside: RunDirectory, step: int) -> None:
    """Say in the new run whose it is and where it begins."""
    _rename_in_log(aside.events_file, made.run_id)
    with EventWriter(aside.events_file) as log:
        reason = f"Begins as {run.run_id} was at step {step}."
        log.write(RunPaused(step=step, reason=reason))
        log.sync()
    known = read_annotations(run)
    name = known.name or settings_of(run.config()).run_name or run.run_id
    suffix = f" from step {step}"
    write_annotations(
        aside,
        Annotations(name=name[: MAX_NAME - len(suffix)] + suffix, tags=known.tags, note=reason),
    )


def _rename_in_log(file: Path, run_id: str) -> None:
    """The first event names its run."""
    first, newline, rest = file.read_bytes().partition(b"\n")
    values = json.loads(first)
    if values.get("kind") == RunStarted.model_fields["kind"].default:
        named = json.dumps({**values, "run_id": run_id}, ensure_ascii=False, separators=(",", ":"))
        file.write_bytes(named.encode() + newline + rest)
