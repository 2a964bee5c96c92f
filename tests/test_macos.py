"""What only a Mac does, on stand-ins for its system calls; docs/verification.md says so."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from OnPolicyDistill import macos
from OnPolicyDistill.macos import awake, full_sync, process_memory_bytes

FOOTPRINT = 48 * 2**30 + 4096


class LibSystem:
    """Stands in for macOS's C library: fills the caller's buffer byte by byte, as XNU does."""

    def __init__(self, refuses: int = 0) -> None:
        self.asked: list[tuple[int, int]] = []
        self._refuses = refuses

    def proc_pid_rusage(self, pid: int, flavor: int, buffer: object) -> int:
        self.asked.append((pid, flavor))
        if self._refuses:
            ctypes.set_errno(self._refuses)
            return -1
        # bsd/sys/resource.h, rusage_info_v4: a uuid of 16 bytes, then 35 counters of 8 bytes.
        counters = [1000 + place for place in range(35)]
        counters[7] = FOOTPRINT
        ctypes.memmove(buffer, bytes(16) + struct.pack("<35Q", *counters), 296)  # type: ignore[arg-type]
        return 0


@pytest.fixture
def on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")


def stand_in(monkeypatch: pytest.MonkeyPatch, library: LibSystem) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: library)


@pytest.mark.usefixtures("on_a_mac")
def test_on_a_mac_a_process_weighs_what_the_kernel_charges_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = LibSystem()
    stand_in(monkeypatch, library)
    assert process_memory_bytes(4711) == FOOTPRINT
    assert library.asked == [(4711, 4)]
    assert ctypes.sizeof(macos.ResourceUsage) == 296
    assert macos.ResourceUsage.phys_footprint.offset == 72


@pytest.mark.usefixtures("on_a_mac")
@pytest.mark.parametrize(
    ("number", "raised"), [(errno.ESRCH, psutil.NoSuchProcess), (errno.EPERM, psutil.AccessDenied)]
)
def test_a_process_that_is_gone_or_foreign_has_no_footprint(
    number: int, raised: type[psutil.Error], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(monkeypatch, LibSystem(refuses=number))
    with pytest.raises(raised):
        process_memory_bytes(4711)


def test_elsewhere_a_process_weighs_its_resident_set() -> None:
    resident = psutil.Process().memory_info().rss
    assert process_memory_bytes(os.getpid()) == pytest.approx(resident, rel=0.05)


class Drive:
    """Stands in for `fcntl.fcntl` and `os.fsync`, and counts what they are asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refuses: int = 0) -> None:
        self.calls: list[str] = []
        self._refuses = refuses
        monkeypatch.setattr(fcntl, "fcntl", self._fcntl)
        monkeypatch.setattr(os, "fsync", lambda _: self.calls.append("fsync"))

    def _fcntl(self, _: int, command: int) -> int:
        assert command == 51  # F_FULLFSYNC in XNU's bsd/sys/fcntl.h
        self.calls.append("full")
        if self._refuses:
            raise OSError(self._refuses, os.strerror(self._refuses))
        return 0


@pytest.mark.usefixtures("on_a_mac")
def test_on_a_mac_a_full_sync_reaches_the_medium(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive(monkeypatch)
    full_sync(0)
    assert drive.calls == ["full"]


@pytest.mark.usefixtures("on_a_mac")
def test_a_filesystem_without_full_sync_gets_a_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive(monkeypatch, refuses=errno.ENOTSUP)
    full_sync(0)
    assert drive.calls == ["full", "fsync"]


@pytest.mark.usefixtures("on_a_mac")
def test_a_full_disk_is_no_reason_to_sync_less(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive(monkeypatch, refuses=errno.ENOSPC)
    with pytest.raises(OSError, match="No space"):
        full_sync(0)
    assert drive.calls == ["full"]


def test_elsewhere_a_full_sync_is_a_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Drive(monkeypatch)
    full_sync(0)
    assert drive.calls == ["fsync"]


@pytest.fixture
def caffeinate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `caffeinate` first on PATH that notes its process and arguments, then waits."""
    program, notes = tmp_path / "caffeinate", tmp_path / "notes"
    program.write_text(
        f'#!/bin/sh\necho "$$ $*" > {notes}.new\nmv {notes}.new {notes}\nexec sleep 60\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return notes


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("on_a_mac")
def test_a_mac_stays_awake_but_not_its_display_until_the_work_ends(caffeinate: Path) -> None:
    with awake():
        until(caffeinate.exists)
        pid, *arguments = caffeinate.read_text().split()
        assert arguments == ["-i", "-s", "-w", str(os.getpid())]
        # Ctrl-C in a terminal reaches its whole group; the helper must outlast a pause.
        assert os.getpgid(int(pid)) != os.getpgid(0)
    assert not psutil.pid_exists(int(pid))


@pytest.mark.usefixtures("on_a_mac")
def test_the_helper_ends_when_the_work_fails(caffeinate: Path) -> None:
    def interrupted() -> None:
        with awake():
            until(caffeinate.exists)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not psutil.pid_exists(int(caffeinate.read_text().split()[0]))


@pytest.mark.usefixtures("on_a_mac")
def test_work_goes_on_where_caffeinate_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with awake():
        pass


def test_elsewhere_nothing_is_started(caffeinate: Path) -> None:
    with awake():
        pass
    assert not caffeinate.exists()
