"""A run in a terminal on a Mac: a parent that outlives what macOS does to the process that trains.

The parent loads no model. It passes signals on, shows what the child writes, and starts it again
where the GPU's failure passes (runs/retrying.py). The child leads a process group of its own, so
that Ctrl-C reaches it once, through the parent. Not yet run on a Mac.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from OnPolicyDistill.cli.output import print_note
from OnPolicyDistill.cli.run_lines import typed
from OnPolicyDistill.errors import GpuInterruptedError, StoppedError
from OnPolicyDistill.gpu import is_watched
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import RunFailed, Warned
from OnPolicyDistill.runs.log import last_event
from OnPolicyDistill.runs.retrying import Tries, next_try

COMMAND = (sys.executable, "-m", "OnPolicyDistill")
OUTPUT_TAIL_BYTES = 16_384
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def is_needed() -> bool:
    """Whether this process should watch a child instead of training itself."""
    return sys.platform == "darwin" and not is_watched(os.environ)


def watch(run: RunDirectory, arguments: list[str]) -> int:
    """Train in a child until the run ends, taking it up again after the GPU's failures.

    `arguments` start it the first time. Returns the exit code; the child has said the rest.
    """
    tries, signals = Tries(), _Signals()
    with signals.passed_on():
        while True:
            code, output = _work(arguments, tries.environment(), signals)
            if code == 0:
                return 0
            again = None if signals.was_asked_to_end else next_try(run, tries, output)
            if again is None:
                return _exit_code(run, code, signals.was_asked_to_end)
            _say_last(run)
            tries, arguments = again, ["resume", run.run_id, "--anyway"]
            arguments += ["--workspace", str(run.path.parent.parent)]


class _Signals:
    """Passes signals on to the child there is, and remembers that somebody wants it to end."""

    def __init__(self) -> None:
        self.child: subprocess.Popen[bytes] | None = None
        self.was_asked_to_end = False

    @contextmanager
    def passed_on(self) -> Iterator[None]:
        """Listen while the block runs; a hang-up that nohup ignores stays ignored."""
        before = {number: signal.getsignal(number) for number in (*PASSED_ON, signal.SIGTSTP)}
        if before[signal.SIGHUP] == signal.SIG_IGN:
            del before[signal.SIGHUP]
        for number in before:
            signal.signal(number, self._suspend if number == signal.SIGTSTP else self._pass_on)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.was_asked_to_end = True
        self._send(number)

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        self._send(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)  # the shell takes over here, until it says go on
        self._send(signal.SIGCONT)

    def _send(self, number: int) -> None:
        if self.child is not None and self.child.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.child.pid, number)


def _work(arguments: list[str], environment: dict[str, str], signals: _Signals) -> tuple[int, str]:
    """Run a child and show its stderr; returns its code and the last of what it wrote there."""
    looks_like = {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1"} if sys.stderr.isatty() else {}
    child = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **looks_like, **environment},
        process_group=0,
    )
    signals.child = child
    if signals.was_asked_to_end:
        child.terminate()  # asked before there was a child to pass it on to
    assert child.stderr is not None
    tail = b""
    with child.stderr:
        while piece := os.read(child.stderr.fileno(), 65_536):
            with suppress(OSError):  # a terminal that was closed; the child still has to save
                os.write(sys.stderr.fileno(), piece)
            tail = (tail + piece)[-OUTPUT_TAIL_BYTES:]
    return child.wait(), tail.decode("utf-8", "replace")


def _exit_code(run: RunDirectory, code: int, was_asked_to_end: bool) -> int:
    """The command's exit code for a child's, with the words that a child that died owes."""
    if code > 0 and code != GpuInterruptedError.exit_code:
        return code
    if was_asked_to_end and code in (-number for number in PASSED_ON):
        return StoppedError.exit_code
    if isinstance(last_event(run.events_file), RunFailed):
        _say_last(run)
    elif code < 0:
        print_note(
            f"opd: The process that trained was ended by {signal.Signals(-code).name}. "
            f"Go on with: opd resume {typed(run)}"
        )
    return 1


def _say_last(run: RunDirectory) -> None:
    """Show what was written into the log in the child's place."""
    event = last_event(run.events_file)
    if isinstance(event, RunFailed | Warned):
        print_note(f"{event.message} {event.action}")
