"""Ending processes: asked first and given long; the only place that kills.

A process that holds wired memory of the GPU and is killed hard can leave it lost until the next
boot, so whoever stops, pauses, cancels or quits asks by SIGTERM and waits. SIGKILL is for a user's
own "kill", and for a process that did not end in GRACE_SECONDS: two minutes, because the longest
piece of work that sees no stop is one micro-batch of a big teacher, with a checkpoint to write
after it; far beyond the seconds that takes, so that only a process that hangs ever reaches it.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from OnPolicyDistill.runs.directory import Worker

GRACE_SECONDS = 120.0
POLL_SECONDS = 0.02


def ask_to_end(worker: Worker, whole_group: bool = False) -> None:
    """Ask a process to end, with its children where wanted; does nothing to one that is gone."""
    _signal(worker, signal.SIGTERM, whole_group)


def end(worker: Worker, grace_seconds: float = GRACE_SECONDS) -> None:
    """Ask a process and its children to end, and wait until they are gone."""
    ask_to_end(worker, whole_group=True)
    deadline = time.monotonic() + grace_seconds
    while worker.is_alive() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    kill(worker)


def kill(worker: Worker) -> None:
    """End a process and all its children at once: the last resort, or the user's own wish."""
    _signal(worker, signal.SIGKILL, whole_group=True)


def _signal(worker: Worker, number: signal.Signals, whole_group: bool) -> None:
    if not worker.is_alive():
        return
    with suppress(ProcessLookupError):
        # A worker started in a terminal shares the terminal's group: that one is not ours.
        if whole_group and os.getpgid(worker.pid) == worker.pid:
            os.killpg(worker.pid, number)
        else:
            os.kill(worker.pid, number)
