"""A run's log, read once for everybody who looks at it: index, charts and live readers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock, RLock
from typing import TypeVar

from pydantic import ValidationError

from backend.history.digest import Digest
from backend.history.lines import FileReplacedError, LineFile
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EVENT, Event

T = TypeVar("T")
KEPT_LOGS = 16


class RunLog:
    """The lines of events.jsonl and their digest, kept in step; safe to use from threads.

    `damage` says why nothing behind a damaged line is read.
    """

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self.lines = LineFile(run.events_file)
        self.digest = Digest()
        self.damage: str | None = None
        self._lock = RLock()

    def catch_up(self) -> int:
        """Read what was appended; returns how many whole, sound events there are now.

        Raises:
            FileReplacedError: the log is another one than before.
        """
        with self._lock:
            if self.damage is None:
                for line in self.lines.new_lines():
                    try:
                        self.digest.feed(line)
                    except RunError as error:
                        self.damage = str(error)
                        break
            return self.digest.num_events

    def read(self, first: int, count: int) -> list[bytes]:
        """Return up to `count` sound lines from number `first`."""
        with self._lock:
            return self.lines.read(first, min(count, self.digest.num_events - first))

    def events(self, first: int, count: int) -> tuple[Event, ...]:
        """Return up to `count` events from number `first`.

        Raises:
            RunError: an event is of a kind this version does not know.
        """
        try:
            return tuple(EVENT.validate_json(line) for line in self.read(first, count))
        except ValidationError as error:
            raise RunError(
                f"The log of run {self.run.run_id} has an event that this version cannot read.",
                "It was written by another version, or edited; update and look again.",
            ) from error

    def look(self, question: Callable[[Digest], T]) -> T:
        """Answer from the digest while nobody changes it."""
        with self._lock:
            return question(self.digest)


@dataclass(slots=True)
class RunLogs:
    """The logs looked at lately; a run's log is opened once for all."""

    _open: OrderedDict[str, RunLog] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, run: RunDirectory) -> RunLog:
        """Return the run's log, caught up."""
        with self._lock:
            log = self._open.get(run.run_id)
            if log is None or log.run != run:
                log = self._open[run.run_id] = RunLog(run)
            self._open.move_to_end(run.run_id)
            while len(self._open) > KEPT_LOGS:
                self._open.popitem(last=False)
        try:
            log.catch_up()
        except FileReplacedError:
            self.forget(run.run_id)
            log = RunLog(run)
            log.catch_up()
        return log

    def forget(self, run_id: str) -> None:
        """Drop a log, because the run's folder went away."""
        with self._lock:
            self._open.pop(run_id, None)
