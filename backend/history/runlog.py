"""A run's log, read once for everybody who looks at it: index, charts and live readers."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock, RLock
from typing import TypeVar

from pydantic import ValidationError

from backend.history import kept
from backend.history.digest import Digest
from backend.history.lines import FileReplacedError, LineFile
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EVENT, Event
from OnPolicyDistill.runs.log import MAX_EVENT_BYTES
from OnPolicyDistill.runs.naming import is_run_name

T = TypeVar("T")

logger = logging.getLogger(__name__)

KEPT_LOGS = 16
KEPT_FOLDER = "digests"
KEPT_SUFFIX = ".digest"


class RunLog:
    """The lines of events.jsonl and their digest, kept in step; safe to use from threads.

    `damage` says why nothing behind a damaged line is read.
    """

    def __init__(self, run: RunDirectory, kept_file: Path | None = None) -> None:
        self.run = run
        self.lines = LineFile(run.events_file, MAX_EVENT_BYTES)
        self.digest = Digest()
        self.damage: str | None = None
        self._damaged_inode: int | None = None
        self._kept_file = kept_file
        self._kept_bytes: int | None = None
        self._lock = RLock()

    def catch_up(self) -> int:
        """Read what was appended; returns how many whole, sound events there are now.

        Raises:
            FileReplacedError: the log is another one than before.
        """
        with self._lock:
            if self._kept_bytes is None:
                self._restore()
            if self.damage is None:
                self._read()
            elif self._inode() != self._damaged_inode:
                raise FileReplacedError(f"{self.lines.path} was replaced.", "Reload.")
            return self.digest.facts.num_events

    def _read(self) -> None:
        try:
            for line in self.lines.new_lines():
                self.digest.feed(line)
        except FileReplacedError:
            raise
        except RunError as error:
            self.damage, self._damaged_inode = str(error), self._inode()

    def _inode(self) -> int | None:
        try:
            return self.lines.path.lstat().st_ino
        except OSError:
            return None

    def _restore(self) -> None:
        """Begin with what is kept of this log, where it fits."""
        self._kept_bytes = 0
        if self._kept_file is not None:
            digest = kept.restore(self._kept_file, self.run.events_file, self.lines)
            if digest is not None:
                self.digest, self._kept_bytes = digest, self.lines.num_bytes

    def keep(self, is_at_work: bool) -> None:
        """Write down what was read, for the next who opens this log, where it is worth it.

        The lock is held for a moment only: readers do not wait for the disk.
        """
        if self._kept_file is None or self.damage is not None:
            return
        with self._lock:
            if not kept.is_worth_keeping(self.lines.num_bytes, self._kept_bytes or 0, is_at_work):
                return
            taken = kept.snapshot(self.lines, self.digest)
            self._kept_bytes = taken.num_bytes
        try:
            kept.save(self._kept_file, self.run.events_file, taken)
        except OSError:
            logger.warning("what is known of run %s was not kept", self.run.run_id, exc_info=True)

    def read(self, first: int, count: int) -> list[bytes]:
        """Return up to `count` sound lines from number `first`."""
        with self._lock:
            return self.lines.read(first, min(count, self.digest.facts.num_events - first))

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


class RunLogs:
    """The logs looked at lately; a run's log is opened once for all.

    What is known of long ones is kept in a folder, where one is given.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._open: OrderedDict[str, RunLog] = OrderedDict()
        self._lock = Lock()

    def of(self, run: RunDirectory) -> RunLog:
        """Return the run's log, caught up."""
        log = self._opened(run)
        try:
            log.catch_up()
        except FileReplacedError:
            self.forget(run.run_id)
            log = self._opened(run)
            log.catch_up()
        return log

    def _opened(self, run: RunDirectory) -> RunLog:
        with self._lock:
            log = self._open.get(run.run_id)
            if log is None or log.run != run:
                log = self._open[run.run_id] = RunLog(run, self._kept_file(run.run_id))
            self._open.move_to_end(run.run_id)
            while len(self._open) > KEPT_LOGS:
                self._open.popitem(last=False)
            return log

    def forget(self, run_id: str) -> None:
        """Drop a log, because the run's folder went away."""
        with self._lock:
            self._open.pop(run_id, None)
        file = self._kept_file(run_id)
        if file is not None:
            file.unlink(missing_ok=True)

    def forget_all(self) -> None:
        """Drop every log, so that the next look reads the files themselves."""
        with self._lock:
            self._open.clear()
        for file in () if self._folder is None else self._folder.glob("*"):
            file.unlink(missing_ok=True)

    def _kept_file(self, run_id: str) -> Path | None:
        if self._folder is None or not is_run_name(run_id):
            return None
        return self._folder / f"{run_id}{KEPT_SUFFIX}"
