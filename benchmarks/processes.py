"""Processes of a measurement: started, watched from outside, and kept on cores of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import psutil

from benchmarks.backend_process import BackendProcess
from benchmarks.readers import ReadersReport
from OnPolicyDistill.runs.directory import RunDirectory

Helper: TypeAlias = "subprocess.Popen[str]"


@dataclass(frozen=True, slots=True)
class Moment:
    """CPU seconds of a process so far, at a time (Unix seconds)."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, process: psutil.Process) -> Moment:
        """Return how things stand now."""
        times = process.cpu_times()
        return cls(time.time(), times.user + times.system)

    def cores_until(self, later: Moment) -> float:
        """Return the share of one core that was used between two moments."""
        return (later.cpu - self.cpu) / (later.wall - self.wall)


@contextmanager
def started(module: str, *arguments: str) -> Iterator[Helper]:
    """Start one of our modules and wait for its first line; it is ended with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as helper:
        try:
            assert helper.stdout is not None
            if not helper.stdout.readline():
                raise RuntimeError(f"{module} ended with {helper.wait()}.")
            yield helper
        finally:
            helper.kill()


def tell(helper: Helper) -> None:
    """Close a process's input, which is what it waits for."""
    assert helper.stdin is not None
    helper.stdin.close()


def last_words(helper: Helper) -> str:
    """Return what a process says in the end."""
    assert helper.stdout is not None
    return helper.stdout.read()


@contextmanager
def reading(
    backend: BackendProcess, run: RunDirectory, num_readers: int, after: int, until: int | None
) -> Iterator[Helper]:
    """Let many readers follow a run."""
    options = ["--readers", str(num_readers), "--after", str(after)]
    if until is not None:
        options += ["--until", str(until)]
    with started("benchmarks.readers", backend.stream_url(run.run_id, after), *options) as readers:
        yield readers


def readers_report(readers: Helper) -> ReadersReport:
    """End the reading and return what the readers saw."""
    tell(readers)
    return ReadersReport.model_validate_json(last_words(readers))


def complete_share(found: ReadersReport) -> float:
    """Return the readers that got every event once and in order, as a share of all."""
    same = found.fewest_events == found.most_events > 0
    return found.num_complete / found.num_readers if same else 0.0


def separate_cores() -> tuple[frozenset[int], frozenset[int]]:
    """Return one core and all others; empty sets where processes cannot be kept on cores."""
    if sys.platform != "linux":
        return frozenset(), frozenset()
    first, *rest = sorted(os.sched_getaffinity(0))
    return (frozenset((first,)), frozenset(rest)) if rest else (frozenset(), frozenset())


@contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Keep this thread, and what it starts meanwhile, on these cores; none means wherever."""
    if sys.platform != "linux" or not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
