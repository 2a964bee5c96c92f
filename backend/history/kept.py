"""What is kept of long logs beside the index, so that a chart need not wait for a whole log.

One file a run: a JSON header padded to 8 bytes, then arrays that are mapped into memory. It is a
cache: whatever does not fit the log as it is now is thrown away and read again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from backend.history.digest import Digest, Facts
from backend.history.lines import LineFile
from backend.history.series import Floats, Series, Steps
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import make_private, open_plain

SMALLEST_LOG = 256_000
GROWN_SHARE = 8
EDGE_BYTES = 4096
_LENGTH_BYTES = 8

Bytes = NDArray[np.uint8]


class _KeptSeries(BaseModel):
    """A metric; metrics that were measured at the same steps share an axis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    axis: int


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    layout: Literal[4] = 4
    num_bytes: int
    num_lines: int
    changed: int
    edges: str
    facts: Facts
    axes: tuple[int, ...]
    series: tuple[_KeptSeries, ...]

    @property
    def array_bytes(self) -> int:
        """Size of everything behind the header."""
        sizes = (2 * size for size in self.axes)
        values = (self.axes[series.axis] for series in self.series)
        return 8 * (self.num_lines + sum(sizes) + sum(values))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A log as it was read so far; its arrays are never written to."""

    num_bytes: int
    ends: bytes
    facts: Facts
    series: dict[str, tuple[Steps, Floats, Floats]]


def snapshot(lines: LineFile, digest: Digest) -> Snapshot:
    """Take a picture of what is known of a log; call it while nobody changes it."""
    facts = digest.facts
    facts = replace(
        facts,
        marks=list(facts.marks),
        pace=facts.pace.copy(),
        phase_times=facts.phase_times.copy(),
    )
    series = {key: (it.steps, it.times, it.values) for key, it in digest.series.items()}
    return Snapshot(lines.num_bytes, lines.ends(), facts, series)


def is_worth_keeping(num_bytes: int, kept_bytes: int, is_at_work: bool) -> bool:
    """Whether enough of a log is new; of one that grows, an eighth has to be."""
    if num_bytes < SMALLEST_LOG:
        return False
    return num_bytes > kept_bytes + (num_bytes // GROWN_SHARE if is_at_work else 0)


def save(file: Path, log: Path, taken: Snapshot) -> None:
    """Write a snapshot of a log so that a reader sees the old or the new one."""
    axes: list[tuple[Steps, Floats]] = []
    series = []
    for key, (steps, times, _) in taken.series.items():
        series.append(_KeptSeries(key=key, axis=_axis_of(axes, steps, times)))
    about = log.stat()
    header = _Header(
        num_bytes=taken.num_bytes,
        num_lines=len(taken.ends) // 8,
        changed=about.st_mtime_ns,
        edges=_edges(log, taken.num_bytes),
        facts=taken.facts,
        axes=tuple(len(steps) for steps, _ in axes),
        series=tuple(series),
    )
    arrays = [array for axis in axes for array in axis]
    arrays += [values for _, _, values in taken.series.values()]
    _write(file, header, [taken.ends, *(np.ascontiguousarray(it).data for it in arrays)])


def _axis_of(axes: list[tuple[Steps, Floats]], steps: Steps, times: Floats) -> int:
    """Return the number of the axis with these steps and times, a new one where there is none."""
    for number, (known_steps, known_times) in enumerate(axes):
        if np.array_equal(known_steps, steps) and np.array_equal(known_times, times):
            return number
    axes.append((steps, times))
    return len(axes) - 1


def _write(file: Path, header: _Header, parts: list[bytes | memoryview]) -> None:
    text = header.model_dump_json().encode()
    text += b" " * (-len(text) % 8)
    make_private(file.parent)
    temporary = file.with_suffix(f".{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(len(text).to_bytes(_LENGTH_BYTES, "little"))
            stream.writelines([text, *parts])
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def restore(file: Path, log: Path, lines: LineFile) -> Digest | None:
    """Return what is kept of a log and tell `lines` of it; None where nothing fits the log."""
    with suppress(OSError, RunError, ValueError):
        open_plain(file).close()
        content = np.memmap(file, np.uint8, "r")
        begin = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES].tobytes(), "little")
        header = _Header.model_validate_json(content[_LENGTH_BYTES:begin].tobytes())
        if len(content) - begin == header.array_bytes and _fits(header, log):
            arrays = _Arrays(content, begin)
            lines.restore(arrays.take(header.num_lines).tobytes(), log.stat().st_ino)
            axes = [(arrays.steps(size), arrays.floats(size)) for size in header.axes]
            values = [arrays.floats(header.axes[it.axis]) for it in header.series]
            series = {
                it.key: Series.of(*axes[it.axis], found)
                for it, found in zip(header.series, values, strict=True)
            }
            return Digest(header.facts, series)
    return None


class _Arrays:
    """Hands out one array behind the other; a reader of one reads it from the disk."""

    def __init__(self, content: Bytes, begin: int) -> None:
        self._content = content
        self._position = begin

    def take(self, size: int) -> Bytes:
        begin, self._position = self._position, self._position + 8 * size
        return self._content[begin : self._position]

    def steps(self, size: int) -> Steps:
        return self.take(size).view(np.int64)

    def floats(self, size: int) -> Floats:
        return self.take(size).view(np.float64)


def _fits(header: _Header, log: Path) -> bool:
    """Whether a log still begins with what was kept of it; a longer one went on."""
    about = log.stat()
    if about.st_size < header.num_bytes:
        return False
    if about.st_size == header.num_bytes and about.st_mtime_ns != header.changed:
        return False
    return _edges(log, header.num_bytes) == header.edges


def _edges(log: Path, num_bytes: int) -> str:
    """Hash the beginning of a log and its end before a byte."""
    with open_plain(log) as stream:
        found = stream.read(min(EDGE_BYTES, num_bytes))
        stream.seek(max(num_bytes - EDGE_BYTES, 0))
        found += stream.read(min(EDGE_BYTES, num_bytes))
    return hashlib.sha256(found).hexdigest()
