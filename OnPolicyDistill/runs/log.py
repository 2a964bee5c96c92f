"""The event log on disk: one writer, any number of readers that never stop it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, Self

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import append_whole, disk_errors, open_plain, open_to_append
from OnPolicyDistill.runs.events import EVENT, Event, EventBase

# Events are small: the largest known, an evaluation with intervals, has a few kB.
MAX_EVENT_BYTES = 1_000_000
# A rollout of 64k tokens with all that is recorded of each has about half of it.
MAX_ROLLOUT_BYTES = 8_000_000


class EventWriter:
    """Appends events; opening repairs a line that a crash left torn.

    `repaired_bytes` says how much was cut off on opening, so that the run can report it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.repaired_bytes = repair_torn_line(path)
        self.next_seq = _next_seq(path)
        self._stream = open_to_append(path)

    def write(self, event: EventBase) -> Event:
        """Number the event, append it, and hand it to the system; returns what was written."""
        stamped = event.model_copy(update={"seq": self.next_seq, "time": time.time()})
        with disk_errors(self.path):
            append_whole(self._stream.fileno(), stamped.model_dump_json().encode() + b"\n")
        self.next_seq += 1
        return EVENT.validate_python(stamped.model_dump())

    def sync(self) -> None:
        """Make everything written so far survive a power cut."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def repair_torn_line(path: Path) -> int:
    """Cut an unfinished last line; returns the bytes removed (0 for a whole file).

    Raises:
        RunError: it is no regular file.
    """
    try:
        with open_plain(path) as stream:
            size = stream.seek(0, os.SEEK_END)
            whole = _end_of_last_line(stream, size)
    except FileNotFoundError:
        return 0
    if whole < size:
        with path.open("rb+") as stream:
            stream.truncate(whole)
            os.fsync(stream.fileno())
    return size - whole


def _end_of_last_line(stream: BinaryIO, size: int, block: int = 65_536) -> int:
    end = size
    while end > 0:
        start = max(0, end - block)
        stream.seek(start)
        newline = stream.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


def _last_line(stream: BinaryIO, path: Path) -> bytes | None:
    """Return the last whole line, of a torn one what stands before it; None where there is none."""
    size = stream.seek(0, os.SEEK_END)
    for window in (65_536, 2 * MAX_EVENT_BYTES):
        start = max(0, size - window)
        stream.seek(start)
        whole, newline, _ = stream.read(size - start).rpartition(b"\n")
        _, newline_before, line = whole.rpartition(b"\n")
        if newline_before or (newline and start == 0):
            return line
        if start == 0:
            return None
    raise _too_long(path)


def _next_seq(path: Path) -> int:
    last = last_event(path)
    return 0 if last is None else last.seq + 1


def last_event(path: Path) -> Event | None:
    """Return the last whole event, reading only the end of the file; None for an empty log.

    Raises:
        RunError: the log's end is damaged, or it is no regular file.
    """
    try:
        stream = open_plain(path)
    except FileNotFoundError:
        return None
    with stream:
        line = _last_line(stream, path)
    return None if line is None else _parse(line, path)


def read_events(path: Path, after: int = -1) -> Iterator[Event]:
    """Yield whole events with seq > `after`; a torn last line is left for later.

    Raises:
        RunError: a line in the middle of the file is damaged or a number is missing.
    """
    for event, _ in read_events_from(path, 0):
        if event.seq > after:
            yield event


def read_events_of(path: Path, kinds: Collection[str]) -> Iterator[Event]:
    """Yield the whole events of some kinds; the other lines are passed over unread.

    Raises:
        RunError: one of them is damaged.
    """
    marks = [f'"kind":"{kind}"'.encode() for kind in kinds]
    try:
        stream = open_plain(path)
    except FileNotFoundError:
        return
    with stream:
        while line := stream.readline(MAX_EVENT_BYTES + 1):
            if len(line) > MAX_EVENT_BYTES:
                raise _too_long(path)
            if line.endswith(b"\n") and any(mark in line for mark in marks):
                event = _parse(line, path)
                if event.kind in kinds:
                    yield event


def read_events_from(path: Path, offset: int) -> Iterator[tuple[Event, int]]:
    """Yield whole events from a byte offset, each with the offset behind it, to follow a log."""
    try:
        stream = open_plain(path)
    except FileNotFoundError:
        return
    expected: int | None = 0 if offset == 0 else None
    with stream:
        stream.seek(offset)
        while line := stream.readline(MAX_EVENT_BYTES + 1):
            if not line.endswith(b"\n"):
                if len(line) > MAX_EVENT_BYTES:
                    raise _too_long(path)
                return
            offset += len(line)
            event = _parse(line, path, offset)
            if expected is not None and event.seq != expected:
                raise RunError(
                    f"{path} jumps from event {expected - 1} to {event.seq}.",
                    "The file was edited or damaged; restore it from a backup.",
                )
            expected = event.seq + 1
            yield event, offset


def _too_long(path: Path) -> RunError:
    return RunError(
        f"{path} has a line of more than {MAX_EVENT_BYTES / 1e6:g} MB, which is no event.",
        "The file was edited or damaged; restore it from a backup.",
    )


def _parse(line: bytes, path: Path, offset: int | None = None) -> Event:
    try:
        return EVENT.validate_python(json.loads(line))
    except (ValueError, RecursionError) as error:  # pydantic's errors are ValueErrors
        where = "at its end" if offset is None else f"that ends at byte {offset}"
        raise RunError(
            f"{path} has a damaged line {where}.",
            "The file was edited or damaged; restore it from a backup.",
        ) from error
