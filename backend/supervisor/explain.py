"""Explains a death: from the last event, the exit code, the log's last lines and the machine."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import dataclass
from typing import get_args

import psutil

from backend.supervisor.slot import Wish
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import open_plain
from OnPolicyDistill.gpu import SMALLER, GpuCause, find_gpu_failure
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import Event, RunFailed, step_of
from OnPolicyDistill.runs.log import last_event
from OnPolicyDistill.runs.postmortem import Cause, PostMortem, read_postmortem

LOG_TAIL_BYTES = 16_384
LOG_TAIL_LINES = 20
_OUT_OF_MEMORY = re.compile(
    r"insufficient memory|out ?of ?memory|bad_alloc|MemoryError|unable to allocate|\[malloc",
    re.IGNORECASE,
)
_OUT_OF_DISK = re.compile(r"no space left on device|disk .* is full", re.IGNORECASE)
# Failures that a run's own log names as a post-mortem does; every other code is an error.
_NAMED_CAUSES: dict[str, Cause] = {
    name: name for name in (*get_args(GpuCause), "memory", "disk_full")
}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: its return code (minus a signal's number; None when nobody saw it).

    What it wrote begins at byte `log_start` of the run's log; None where nobody knows.
    """

    return_code: int | None
    wish: Wish | None = None
    wish_reason: str = ""
    memory_was_scarce: bool = False
    log_start: int | None = None

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ended it."""
        if self.return_code is None or self.return_code >= 0:
            return None
        try:
            return signal.Signals(-self.return_code)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class _Verdict:
    cause: Cause
    message: str
    advice: str = ""


def explain(run: RunDirectory, ending: Ending) -> PostMortem | None:
    """Return why a run's process ended, or None when it ended as it should."""
    event = last_event(run.events_file)
    planned = event is not None and event.kind in ("run_finished", "run_paused")
    if planned and not ending.wish_reason:
        return None
    tail = read_log_tail(run, ending.log_start or 0)
    verdict = _judge(event, ending, "\n".join(tail))
    checkpoint = last_checkpoint(run)
    resume_from = None if checkpoint is None else int(checkpoint.name)
    return PostMortem(
        time=time.time(),
        after_seq=-1 if event is None else event.seq,
        cause=verdict.cause,
        exit_code=None if ending.signal else ending.return_code,
        signal=None if ending.signal is None else ending.signal.name,
        step=step_of(event),
        resume_from=resume_from,
        message=verdict.message,
        action=" ".join(filter(None, (verdict.advice, _way_on(resume_from)))),
        log_tail=tail,
    )


def is_explained(run: RunDirectory) -> bool:
    """Whether the run's last post-mortem is about the log as it is now."""
    postmortem = read_postmortem(run)
    try:
        event = last_event(run.events_file)
    except RunError:
        return postmortem is not None
    return postmortem is not None and postmortem.after_seq == (-1 if event is None else event.seq)


def read_log_tail(run: RunDirectory, start: int = 0) -> tuple[str, ...]:
    """Return the last lines of the worker's output, none from before byte `start`."""
    try:
        with open_plain(run.log_file) as stream:
            size = stream.seek(0, 2)
            stream.seek(max(start, size - LOG_TAIL_BYTES))
            text = stream.read(LOG_TAIL_BYTES).decode("utf-8", "replace")
    except (FileNotFoundError, RunError):
        return ()
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.splitlines()]
    return tuple(line for line in lines if line)[-LOG_TAIL_LINES:]


def _judge(event: Event | None, ending: Ending, tail: str) -> _Verdict:
    where = _where(event)
    if ending.wish_reason:
        cause: Cause = "memory" if "memory" in ending.wish_reason else "disk_full"
        return _Verdict(cause, f"It was paused {where}: {ending.wish_reason}")
    if isinstance(event, RunFailed):
        return _Verdict(_NAMED_CAUSES.get(event.code, "error"), event.message, event.action)
    if ending.wish == "kill":
        return _Verdict("stopped", f"You stopped it at once {where}.")
    if ending.return_code is None and ending.log_start is None:
        return _unseen(event, where)  # what the log ends with may be of an earlier process
    failure = find_gpu_failure(tail)
    if failure is not None and failure.cause != "memory":
        return _Verdict(failure.cause, f"{failure.message} It was {where}.", failure.action)
    return _unseen(event, where) if ending.return_code is None else _seen(event, ending, tail)


def _seen(event: Event | None, ending: Ending, tail: str) -> _Verdict:
    where = _where(event)
    if _OUT_OF_MEMORY.search(tail) or (
        ending.signal == signal.SIGKILL and ending.memory_was_scarce
    ):
        return _Verdict("memory", f"It was stopped for memory {where}.", SMALLER)
    if _OUT_OF_DISK.search(tail):
        return _Verdict("disk_full", f"The disk was full {where}.", "Free some space first.")
    return _by_exit(event, ending, where, tail)


def _unseen(event: Event | None, where: str) -> _Verdict:
    if event is not None and psutil.boot_time() > event.time:
        return _Verdict("vanished", f"This machine was restarted while it was {where}.")
    return _Verdict(
        "vanished",
        f"Its process went away {where} and nobody saw why; the system may have stopped it, "
        "for example for memory.",
    )


def _by_exit(event: Event | None, ending: Ending, where: str, tail: str) -> _Verdict:
    if ending.signal is not None:
        if ending.wish is not None:
            return _Verdict("stopped", f"It did not stop in time {where} and was ended.")
        cause: Cause = "killed" if ending.signal in (signal.SIGKILL, signal.SIGTERM) else "crashed"
        return _Verdict(cause, f"Its process was ended by {ending.signal.name} {where}.")
    last_line = tail.rpartition("\n")[2]
    said = f" It said: {last_line}" if last_line else ""
    code = ending.return_code
    if event is None:
        return _Verdict("not_started", f"It ended {where} with exit code {code}.{said}")
    return _Verdict("crashed", f"Its process ended {where} with exit code {code}.{said}")


def _where(event: Event | None) -> str:
    return "before its first step" if event is None else f"at step {step_of(event)}"


def _way_on(resume_from: int | None) -> str:
    if resume_from is None:
        return "There is no checkpoint yet: resuming starts from the beginning."
    return f"Resume from step {resume_from}."
