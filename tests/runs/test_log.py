"""The event log: one writer, readers that never stop it, and crashes at any byte."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from OnPolicyDistill.errors import DiskFullError, RunError
from OnPolicyDistill.runs.events import PhaseChanged, StepFinished
from OnPolicyDistill.runs.log import (
    EventWriter,
    last_event,
    read_events,
    read_events_from,
    repair_torn_line,
)


def step(number: int, loss: float = 1.0) -> StepFinished:
    return StepFinished(step=number, metrics={"loss": loss})


def write_steps(path: Path, count: int) -> None:
    with EventWriter(path) as writer:
        for number in range(1, count + 1):
            writer.write(step(number))


def test_events_are_numbered_without_gaps_across_reopening(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_steps(path, 3)
    write_steps(path, 2)
    assert [event.seq for event in read_events(path)] == [0, 1, 2, 3, 4]
    assert [event.time for event in read_events(path)] == sorted(
        event.time for event in read_events(path)
    )


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as writer:
        written = writer.write(PhaseChanged(phase="loading", step=0, detail="Tëacher\n€"))
    assert list(read_events(path)) == [written]
    assert last_event(path) == written


def test_reading_after_a_number_returns_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_steps(path, 5)
    assert [event.seq for event in read_events(path, after=2)] == [3, 4]


def test_a_log_cut_at_any_byte_is_repaired_to_its_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_steps(path, 3)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        kept = whole[:size].count(b"\n")
        assert [event.seq for event in read_events(path)] == list(range(kept))
        with EventWriter(path) as writer:
            assert writer.repaired_bytes == size - (whole[:size].rfind(b"\n") + 1)
            assert writer.write(step(9)).seq == kept
        assert [event.seq for event in read_events(path)] == list(range(kept + 1))


def test_an_absent_or_empty_log_has_no_events(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert list(read_events(path)) == []
    assert last_event(path) is None
    assert repair_torn_line(path) == 0
    path.write_bytes(b"")
    assert list(read_events(path)) == []
    assert last_event(path) is None
    path.write_bytes(b'{"seq": 0')
    assert last_event(path) is None


def test_the_last_event_is_found_behind_lines_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventWriter(path) as writer:
        writer.write(step(1))
        long = writer.write(PhaseChanged(phase="loading", step=1, detail="x" * 100_000))
    assert last_event(path) == long
    with path.open("ab") as stream:
        stream.write(b'{"torn": "' + b"y" * 500)
    assert last_event(path) == long


def test_a_gap_in_the_numbers_is_an_error_and_not_skipped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_steps(path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(RunError, match="jumps from event 0 to 2"):
        list(read_events(path))


def test_a_log_that_lost_its_beginning_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    write_steps(path, 2)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[1])
    with pytest.raises(RunError, match="to 1"):
        list(read_events(path))


@pytest.mark.parametrize("damage", [b"\x00" * 12 + b"\n", b"{}\n", b"[1]\n", b"\n", b"\xff\n"])
def test_a_damaged_line_in_the_middle_is_an_error_with_its_place(
    tmp_path: Path, damage: bytes
) -> None:
    path = tmp_path / "events.jsonl"
    write_steps(path, 2)
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + second)
    with pytest.raises(RunError, match=f"ends at byte {len(first) + len(damage)}"):
        list(read_events(path))


def test_a_reader_follows_a_growing_log_from_its_offset(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    offset = 0
    seen: list[int] = []
    with EventWriter(path) as writer:
        for number in range(1, 6):
            writer.write(step(number))
            if number % 2:
                for event, position in read_events_from(path, offset):
                    seen.append(event.seq)
                    offset = position
    assert seen == [0, 1, 2, 3, 4]
    assert offset == path.stat().st_size


def test_a_full_disk_leaves_the_log_whole_and_writable_once_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "events.jsonl"
    write = os.write
    with EventWriter(path) as writer:
        writer.write(step(1))

        def full(descriptor: int, data: bytes) -> int:
            if len(data) <= 20:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data[: len(data) - 20])

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(DiskFullError, match=r"events\.jsonl was not written"):
            writer.write(step(2))
        monkeypatch.setattr(os, "write", write)
        writer.write(step(3))
    steps = [event for event in read_events(path) if event.kind == "step_finished"]
    assert [(event.seq, event.step) for event in steps] == [(0, 1), (1, 3)]


def test_a_number_that_is_not_finite_is_refused_before_it_is_written() -> None:
    with pytest.raises(ValidationError, match="finite"):
        step(1, loss=float("nan"))
    with pytest.raises(ValidationError, match="finite"):
        step(1, loss=float("inf"))
