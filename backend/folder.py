"""Reads what lies in a run's folder: rollouts, checkpoints, log, artifacts."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from pydantic import Field, ValidationError

from backend.history.digest import Digest
from backend.history.lines import LineFile
from backend.history.measured import intervals_at, metrics_at
from backend.history.runlog import RunLog
from backend.history.views import View
from backend.problems import NotFoundError
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.evaluation.labelled_report import Interval
from OnPolicyDistill.files import open_plain
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.checkpoints import (
    TrainingState,
    directory_bytes,
    list_checkpoints,
    pointed,
    read_state,
)
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import RolloutRecord

ARTIFACT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}\.[a-z0-9]{1,8}$"
ARTIFACT_SUFFIXES = frozenset((".png", ".svg", ".md", ".txt", ".csv", ".json", ".html", ".pdf"))
RECORDS = frozenset(
    ("annotations.json", "postmortem.json", "worker.json", "control.json", "log.txt")
)
MAX_ROLLOUT_BYTES = 16_000_000


class RolloutPage(View):
    """Rollouts of a file; `total` counts all of them."""

    rollouts: tuple[RolloutRecord, ...]
    offset: int
    total: int


class Checkpoint(View):
    """A checkpoint that a resume can start from."""

    step: int
    path: str
    num_bytes: int
    time: float
    is_best: bool
    is_last: bool
    state: TrainingState | None = Field(description="Null when it cannot be read.")
    metrics: dict[str, float] = Field(
        default_factory=dict, description="Measured at its step, held-out ones among them."
    )
    intervals: dict[str, Interval] = Field(
        default_factory=dict, description="95 % intervals of those that have one."
    )


class LogPart(View):
    """Part of the worker's output, cut at bytes; what is no UTF-8 there is replaced."""

    text: str
    start: int
    end: int
    total: int = Field(description="Bytes of the whole log.")


class Artifact(View):
    """A file that a run made for people."""

    name: str
    num_bytes: int
    time: float


def read_rollouts(lines: LineFile, offset: int, limit: int, newest_first: bool) -> RolloutPage:
    """Return a page of rollouts; a page may hold fewer than asked for when they are long.

    Raises:
        RunError: a line of the page is damaged.
    """
    total = len(lines)
    if not newest_first:
        found = lines.read(offset, limit, MAX_ROLLOUT_BYTES)
    else:
        stop = max(total - offset, 0)
        start = max(stop - limit, 0)
        found = lines.read(start, stop - start, MAX_ROLLOUT_BYTES)[::-1]
    return RolloutPage(
        rollouts=tuple(parse_rollout(line) for line in found), offset=offset, total=total
    )


def rollout_at(lines: LineFile, position: int) -> RolloutRecord:
    """Return the rollout whose line starts at a byte.

    Raises:
        NotFoundError: none starts there.
        RunError: the line is damaged.
    """
    number = lines.number_at(position)
    if number is None:
        raise NotFoundError(f"No rollout starts at byte {position}.")
    return parse_rollout(lines.read(number, 1)[0])


def parse_rollout(line: bytes) -> RolloutRecord:
    """Read one line of rollouts.jsonl.

    Raises:
        RunError: it is damaged.
    """
    try:
        return RolloutRecord.model_validate_json(line)
    except ValidationError as error:
        raise RunError(
            "A line of rollouts.jsonl is damaged.", "Its events and checkpoints are not touched."
        ) from error


def read_checkpoints(log: RunLog) -> tuple[Checkpoint, ...]:
    """Return a run's whole checkpoints, oldest first, with what was measured at their steps."""
    return log.look(lambda digest: _checkpoints(log.run, digest))


def _checkpoints(run: RunDirectory, digest: Digest) -> tuple[Checkpoint, ...]:
    best, last = pointed(run, "best"), pointed(run, "last")
    return tuple(
        Checkpoint(
            step=int(path.name),
            path=str(path),
            num_bytes=directory_bytes(path),
            time=path.stat().st_mtime,
            is_best=best is not None and best.name == path.name,
            is_last=last is not None and last.name == path.name,
            state=_state(path),
            metrics=metrics_at(digest, int(path.name)),
            intervals=intervals_at(digest, int(path.name)),
        )
        for path in list_checkpoints(run)
    )


def _state(path: Path) -> TrainingState | None:
    try:
        return read_state(path)
    except RunError:
        return None


def read_log(run: RunDirectory, start: int | None, max_bytes: int) -> LogPart:
    """Return the log from a byte on, or its tail; an empty part where there is no log."""
    try:
        with open_plain(run.log_file) as stream:
            total = stream.seek(0, 2)
            begin = max(0, total - max_bytes) if start is None else min(start, total)
            stream.seek(begin)
            found = stream.read(max_bytes)
    except FileNotFoundError:
        return LogPart(text="", start=0, end=0, total=0)
    text = found.decode("utf-8", "replace")
    return LogPart(text=text, start=begin, end=begin + len(found), total=total)


def list_artifacts(run: RunDirectory) -> tuple[Artifact, ...]:
    """Return the files at the top of a run's folder that are made for people."""
    found = []
    for path in sorted(run.path.iterdir()):
        is_named = re.match(ARTIFACT_PATTERN, path.name) is not None
        if is_named and path.suffix in ARTIFACT_SUFFIXES and path.name not in RECORDS:
            about = path.lstat()
            # A link could point anywhere, so only files of the run's own are artifacts.
            if stat.S_ISREG(about.st_mode):
                found.append(Artifact(name=path.name, num_bytes=about.st_size, time=about.st_mtime))
    return tuple(found)


def artifact_file(run: RunDirectory, name: str) -> Path:
    """Return a listed artifact's file.

    Raises:
        NotFoundError: it is not listed.
    """
    if all(artifact.name != name for artifact in list_artifacts(run)):
        raise NotFoundError(f"Run {called(run)} has no artifact {name}.")
    return run.path / name
