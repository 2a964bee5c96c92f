"""How many questions are answered behind the door at once, and how many may wait for a turn.

Every answer is a process with memory of its own: without a bound, whoever may only read could fill
the machine by asking. Waiting takes a thread of the web process, so the line is short as well.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Condition

from backend.problems import RefusedError

AT_ONCE = 4
# With those at work fewer than half of the 40 threads that answer requests.
MOST_WAITING = 12
WAIT_SECONDS = 30.0
RETRY_SECONDS = 5


class BusyError(RefusedError):
    """Too many questions are being answered; the same one can be asked again in a while."""

    def __init__(self, what: str) -> None:
        super().__init__(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "busy",
            f"{what}, and this one was not begun.",
            "Ask again in a few seconds.",
            retry_seconds=RETRY_SECONDS,
        )


class Turns:
    """A line with an end: some are at work, some wait, the rest are sent away."""

    def __init__(
        self,
        at_once: int = AT_ONCE,
        most_waiting: int = MOST_WAITING,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._free = at_once
        self.num_waiting = 0
        self._at_once, self._most_waiting = at_once, most_waiting
        self._wait_seconds = wait_seconds
        self._changed = Condition()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn and have it while the block runs.

        Raises:
            BusyError: too many wait already, or none became free in time.
        """
        with self._changed:
            self._take()
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify()

    def _take(self) -> None:
        if self._free == 0 and self.num_waiting >= self._most_waiting:
            raise BusyError(f"{self._at_once + self.num_waiting} files and models are being read")
        deadline = time.monotonic() + self._wait_seconds
        self.num_waiting += 1
        try:
            while self._free == 0:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise BusyError(
                        f"{self._at_once} files or models are being read, none of them was done "
                        f"in {self._wait_seconds:g} seconds"
                    )
        finally:
            self.num_waiting -= 1
        self._free -= 1
