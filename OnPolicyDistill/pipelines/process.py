"""The process of one stage: started, followed event by event, asked to end, and explained.

It leads a session of its own, so that Ctrl-C reaches it once, through the runner. A process that
a killed runner left behind is followed as if it had been started here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from OnPolicyDistill.errors import RunError, StoppedError
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.directory import Control, RunDirectory, Worker
from OnPolicyDistill.runs.events import Event, RunFailed
from OnPolicyDistill.runs.log import last_event, read_events_from
from OnPolicyDistill.runs.retrying import Tries, next_try
from OnPolicyDistill.runs.workers import identify, worker_environment

COMMAND = (sys.executable, "-m", "OnPolicyDistill")
POLL_SECONDS = 0.1
LOG_TAIL_BYTES = 16_384

Observe = Callable[[Event], None]
Stop = Callable[[], bool]


@dataclass(slots=True)
class StageProcess:
    """A run's process; `code` is its exit code, None where nobody can know it."""

    run: RunDirectory
    worker: Worker
    child: subprocess.Popen[bytes] | None
    log_start: int
    tries: Tries = field(default_factory=Tries)
    was_asked_to_end: bool = False

    @property
    def code(self) -> int | None:
        """How it ended."""
        return None if self.child is None else self.child.returncode

    def has_ended(self) -> bool:
        """Whether it is gone."""
        return not self.worker.is_alive() if self.child is None else self.child.poll() is not None

    def ask_to_end(self) -> None:
        """Ask it once to pause with a checkpoint."""
        if self.was_asked_to_end:
            return
        self.was_asked_to_end = True
        write_text_atomically(self.run.control_file, Control(action="pause").model_dump_json())
        with suppress(ProcessLookupError):
            os.kill(self.worker.pid, signal.SIGTERM)


def work_on(run: RunDirectory, observe: Observe, stop: Stop, command: tuple[str, ...]) -> None:
    """Work on a run in a process of its own until it is finished.

    Raises:
        StoppedError: `stop` said so, or somebody paused the run; it can be resumed.
        RunError: the run failed, or its process died; says why.
    """
    process = _left_behind(run) or _start(run, Tries(), command)
    offset = _end_of_events(run)
    while True:
        offset = _follow(process, offset, observe, stop)
        again = None if process.was_asked_to_end else _next_try(process)
        if again is None:
            break
        process = _start(run, again, command)
    _judge(process)


def _follow(process: StageProcess, offset: int, observe: Observe, stop: Stop) -> int:
    """Tell the run's new events until its process has ended; returns where the log ends."""
    while True:
        # Asked before reading: what it wrote before it ended is read once more.
        ended = process.has_ended()
        for event, position in read_events_from(process.run.events_file, offset):
            offset = position
            observe(event)
        if ended:
            return offset
        if stop():
            process.ask_to_end()
        time.sleep(POLL_SECONDS)


def _left_behind(run: RunDirectory) -> StageProcess | None:
    worker = run.worker()
    if worker is None or not worker.is_alive():
        return None
    return StageProcess(run, worker, None, _log_size(run))


def _start(run: RunDirectory, tries: Tries, command: tuple[str, ...]) -> StageProcess:
    # Whether the memory is free was asked by the runner.
    is_new = run.state() == "created"
    which = ["train", "--run", run.run_id] if is_new else ["resume", run.run_id, "--anyway"]
    log_start = _log_size(run)
    with run.log_file.open("ab") as output:
        child = subprocess.Popen(
            [*command, *which, "--workspace", str(run.path.parent.parent)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=worker_environment(tries.environment()),
            start_new_session=True,
        )
    return StageProcess(run, identify(child.pid), child, log_start, tries)


def _next_try(process: StageProcess) -> Tries | None:
    """How the run goes on by itself where the GPU ended it (runs/retrying.py)."""
    if process.code in (0, None):
        return None
    return next_try(process.run, process.tries, _tail(process))


def _judge(process: StageProcess) -> None:
    """Raise unless the run is finished."""
    run, state = process.run, process.run.state()
    if state == "finished":
        return
    if state == "paused" or (process.was_asked_to_end and state != "failed"):
        raise StoppedError(f"Run {called(run)} is paused.")
    event = last_event(run.events_file)
    if isinstance(event, RunFailed):
        raise RunError(event.message, event.action)
    raise RunError(_last_words(process), f"Its output is in {run.log_file}.")


def _last_words(process: StageProcess) -> str:
    lines = _tail(process).split("\n")
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    code = process.code
    if code is None:
        how = "went away, and nobody saw why"
    elif code < 0:
        how = f"was ended by {signal.Signals(-code).name}"
    else:
        how = f"ended with exit code {code}"
    return f"The process of run {called(process.run)} {how}." + (
        f" It said: {said}" if said else ""
    )


def _tail(process: StageProcess) -> str:
    try:
        with process.run.log_file.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(process.log_start, size - LOG_TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _end_of_events(run: RunDirectory) -> int:
    """Where the last whole event ends: what an earlier process wrote was told by then.

    A line that a crash left torn is cut off when the run is opened again.
    """
    return max((position for _, position in read_events_from(run.events_file, 0)), default=0)


def _log_size(run: RunDirectory) -> int:
    return run.log_file.stat().st_size if run.log_file.exists() else 0
