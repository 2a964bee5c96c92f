"""A run is a folder: the only interface between training and everything that looks at it.

<workspace>/runs/<run_id>/
config.yaml      every setting
events.jsonl     what happened (runs/events.py)
rollouts.jsonl   sampled completions, token by token
pictures/        small copies of the pictures that recorded rollouts show
checkpoints/     000100/, ..., and the links `best` and `last`
worker.json      the process that works on it, and `run.lock` which it holds
pictures.json    which token ids pictures have (pictures.py), where the run sees any
forecast.json    what was forecast when it began (runs/forecast.py)
control.json     what the user asked of that process before signalling it
annotations.json name, tags, notes, favourite, archived: the user's, never the trainer's
log.txt          the worker's own output
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs
import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.config import BLOCK_OF_METHOD, RunConfig, dump_config, read_config, settings_of
from OnPolicyDistill.errors import InputError, RunError
from OnPolicyDistill.files import (
    make_private,
    open_to_append,
    read_plain,
    remove_any,
    write_text_atomically,
)
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.runs.log import last_event
from OnPolicyDistill.runs.naming import folder_name, shown_name

APP_NAME = "OnPolicyDistill"
WORKSPACE_VARIABLE = "OPD_WORKSPACE"

# Settings that change no number of a run, and may be changed before a resume.
NUMBERLESS_SETTINGS = ("run_name", "checkpoint_minutes", "logging", "teacher_cache_dir_mb")
# Settings that were added after runs had been made, which must keep their hash; with their block
# where another block had a setting of that name before.
NEWER_SETTINGS = (
    "num_epochs",
    "warmup_ratio",
    "length_buckets",
    "thinking",
    "best_of_equals",
    "lora.experts",
    "prompt_distillation.teacher_weight",
    "min_pixels",
    "max_pixels",
    "picture_cache_mb",
    "teacher_adapter",
    "sft.student_adapter",
    "teacher_endpoint",
    "teacher_cache_dir",
    "teacher_cache_precision",
    "teachers",
    "teacher_order",
    "teacher_shards",
    "loss_tokens",
    "rollout_reuse",
)

RunState = Literal["created", "running", "paused", "finished", "failed", "interrupted"]


def default_workspace() -> Path:
    """Return `$OPD_WORKSPACE`, else the platform's data folder."""
    chosen = os.environ.get(WORKSPACE_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_data_dir(APP_NAME, appauthor=False))


class Worker(BaseModel):
    """The process that works on a run; pid and start time together identify it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # To signal 0 or a negative number is to signal a group of processes, or all.
    pid: int = Field(gt=0, lt=2**31)
    started: float

    def is_alive(self) -> bool:
        """Whether that very process still runs: pids are reused, start times are not."""
        try:
            process = psutil.Process(self.pid)
            return (
                abs(process.create_time() - self.started) < 1.0
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False


class Control(BaseModel):
    """What the worker shall do when it is signalled: pause to resume later, or finish now."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Literal["pause", "finish"] = "pause"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of one run and the few facts that are read from them."""

    path: Path

    @property
    def run_id(self) -> str:
        """The folder's name, as text (runs/naming.py)."""
        return shown_name(self.path.name)

    @property
    def is_there(self) -> bool:
        """Whether the folder is a run's: it has settings, or the log of a run that lost them."""
        return _is_something(self.config_file) or _is_something(self.events_file)

    @property
    def config_file(self) -> Path:
        """Every setting of the run, as YAML."""
        return self.path / "config.yaml"

    @property
    def events_file(self) -> Path:
        """The event log."""
        return self.path / "events.jsonl"

    @property
    def rollouts_file(self) -> Path:
        """Sampled completions, one RolloutRecord a line."""
        return self.path / "rollouts.jsonl"

    @property
    def pictures(self) -> Path:
        """Small copies of the pictures in recorded rollouts, a PNG file a digest."""
        return self.path / "pictures"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def pictures_file(self) -> Path:
        """Which token ids the run's pictures have; a run without pictures has none."""
        return self.path / "pictures.json"

    @property
    def worker_file(self) -> Path:
        """Who works on the run."""
        return self.path / "worker.json"

    @property
    def control_file(self) -> Path:
        """What the user asked of the worker."""
        return self.path / "control.json"

    @property
    def log_file(self) -> Path:
        """The worker's own output."""
        return self.path / "log.txt"

    def config(self) -> RunConfig:
        """Read the run's settings.

        Raises:
            ConfigError: they are missing, damaged, or no regular file.
        """
        return read_config(self.config_file)

    def worker(self) -> Worker | None:
        """Return the last process that worked on the run, alive or not."""
        try:
            return Worker.model_validate_json(read_plain(self.worker_file))
        except (FileNotFoundError, RunError, ValidationError):
            return None

    def control(self) -> Control:
        """Return what the user asked for; pausing when nothing was asked."""
        try:
            return Control.model_validate_json(read_plain(self.control_file))
        except (FileNotFoundError, RunError, ValidationError):
            return Control()

    def state(self) -> RunState:
        """Derive the state from the log and the worker: files are the truth, nothing is stored.

        A run whose log ends in damage broke off.
        """
        worker = self.worker()
        if worker is not None and worker.is_alive():
            return "running"
        try:
            event = last_event(self.events_file)
        except RunError:
            return "interrupted"
        if event is None:
            return "created" if worker is None else "interrupted"
        if event.kind == "run_finished":
            return "finished"
        if event.kind == "run_failed":
            return "failed"
        return "paused" if event.kind == "run_paused" else "interrupted"

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Hold the run for this process; a second worker is refused in words."""
        with open_to_append(self.path / "run.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"Run {self.run_id} is being worked on by another process.",
                    "Wait for it or pause it first.",
                ) from None
            remove_any(self.control_file)
            me = psutil.Process()
            worker = Worker(pid=me.pid, started=me.create_time())
            write_text_atomically(self.worker_file, worker.model_dump_json())
            try:
                yield
            finally:
                self.worker_file.unlink(missing_ok=True)


def _is_something(path: Path) -> bool:
    """Whether anything is there, also where it may not be looked at."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def run_of(workspace: Path, run_id: str) -> RunDirectory:
    """Return the folder that is shown under an id, existing or not."""
    return RunDirectory(workspace / "runs" / folder_name(run_id))


def create_run(workspace: Path, config: RunConfig) -> RunDirectory:
    """Make a run folder with its settings; nothing runs yet."""
    runs = workspace / "runs"
    make_private(runs)
    run = new_directory(runs, FACTS[config.method].run_prefix)
    run.checkpoints.mkdir()
    write_text_atomically(run.config_file, dump_config(config))
    return run


def new_directory(runs: Path, prefix: str) -> RunDirectory:
    """Make a folder with a name of its own; two runs of one second may draw the same ending."""
    while True:
        stamp = time.strftime("%Y%m%d_%H%M%S")
        run = RunDirectory(runs / f"{prefix}_{stamp}_{secrets.token_hex(2)}")
        try:
            run.path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return run


def find_run(workspace: Path, run_id: str) -> RunDirectory:
    """Return a run by id, or by a beginning of it that only one run has."""
    matches = [run for run in list_runs(workspace) if run.run_id.startswith(run_id)]
    exact = [run for run in matches if run.run_id == run_id]
    if len(exact or matches) != 1 or not run_id:
        found = "No run" if not matches else f"More than one run ({len(matches)})"
        raise InputError(f"{found} in {workspace} matches {run_id!r}.", "List them: opd runs.")
    return (exact or matches)[0]


def list_runs(workspace: Path) -> list[RunDirectory]:
    """Return every run of a workspace, damaged ones too, newest first; a link is none."""
    runs = workspace / "runs"
    if not runs.is_dir():
        return []
    with os.scandir(runs) as entries:
        folders = [entry.name for entry in entries if is_run_folder(entry)]
    found = [run for run in (RunDirectory(runs / name) for name in folders) if run.is_there]
    return sorted(found, key=lambda run: run.run_id.split("_", 1)[-1], reverse=True)


def is_run_folder(entry: os.DirEntry[str]) -> bool:
    """Whether something among the runs may be one's folder: no link, and not hidden."""
    return entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")


def config_hash(config: RunConfig) -> str:
    """Hash what decides a run's numbers; its name and the clock do not.

    A setting that is newer than some runs counts where it differs from its default, so that those
    can still be resumed.
    """
    block, settings = BLOCK_OF_METHOD[config.method], settings_of(config)
    changed = settings.model_dump(exclude_defaults=True)
    values = settings.model_dump(mode="json", exclude={*NUMBERLESS_SETTINGS})
    for key in NEWER_SETTINGS:
        _leave_out(values, changed, key.removeprefix(f"{block}."))
    hashed = {"method": config.method, block: values}
    return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:16]


def _leave_out(values: dict[str, object], changed: dict[str, object], key: str) -> None:
    """Take a dotted setting out of plain values unless it was changed."""
    first, _, rest = key.partition(".")
    inner, changes = values.get(first), changed.get(first, {})
    if not rest and first not in changed:
        values.pop(first, None)
    elif rest and isinstance(inner, dict):
        _leave_out(inner, changes if isinstance(changes, dict) else {}, rest)
