"""What only a Mac needs: its own count of memory, writes that outlive a power cut, staying awake.

Each does on other systems what is right there, or nothing. None of the system calls below has been
made on a Mac yet; how each was emulated is in docs/verification.md.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

# XNU's bsd/sys/fcntl.h; Python has the name on macOS only.
F_FULLFSYNC = 51
# Filesystems without it (network shares, FAT) refuse with one of these.
NO_FULL_SYNC = frozenset(
    {errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.ENOSYS}
)
RUSAGE_INFO_V4 = 4
KEEP_AWAKE = ("caffeinate", "-i", "-s", "-w")


class ResourceUsage(ctypes.Structure):
    """`struct rusage_info_v4` of XNU's bsd/sys/resource.h: 296 bytes, the footprint at byte 72.

    Every version since v0 begins with the same ten fields; what follows is not looked at.
    """

    _fields_ = (
        ("uuid", ctypes.c_uint8 * 16),
        ("user_time", ctypes.c_uint64),
        ("system_time", ctypes.c_uint64),
        ("package_idle_wakeups", ctypes.c_uint64),
        ("interrupt_wakeups", ctypes.c_uint64),
        ("pageins", ctypes.c_uint64),
        ("wired_size", ctypes.c_uint64),
        ("resident_size", ctypes.c_uint64),
        ("phys_footprint", ctypes.c_uint64),
        ("start_abstime", ctypes.c_uint64),
        ("exit_abstime", ctypes.c_uint64),
        ("rest", ctypes.c_uint64 * 25),
    )


def is_mac() -> bool:
    """Whether this is macOS; a function, so that tests can say it is."""
    return sys.platform == "darwin"


def process_memory_bytes(pid: int) -> int:
    """Memory of a process of this user, in bytes.

    On a Mac its physical footprint, which counts Metal's buffers and which the kernel judges when
    memory runs out; elsewhere its resident set.

    Raises:
        psutil.Error: there is no such process, or it is somebody else's.
    """
    if is_mac():
        return _footprint(pid)
    return int(psutil.Process(pid).memory_info().rss)


def full_sync(descriptor: int) -> None:
    """Put an open file's bytes onto the medium itself.

    On a Mac fsync only hands them to the drive, which may lose them in a power cut.
    """
    if is_mac():
        try:
            fcntl.fcntl(descriptor, F_FULLFSYNC)
        except OSError as error:
            if error.errno not in NO_FULL_SYNC:
                raise
        else:
            return
    os.fsync(descriptor)


@contextmanager
def awake() -> Iterator[None]:
    """Keep the Mac awake while the block runs, but let its display sleep.

    A sleeping display is wanted: while it composites, macOS may kill long work on the GPU. The
    helper also ends when this process is gone, and stands apart from the terminal's Ctrl-C.
    """
    keeper = _start_keeper() if is_mac() else None
    try:
        yield
    finally:
        if keeper is not None:
            keeper.terminate()
            keeper.wait()


def _start_keeper() -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            [*KEEP_AWAKE, str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        # Part of every macOS; without it training still works, awake or not.
        return None


def _footprint(pid: int) -> int:
    usage = ResourceUsage()
    library = ctypes.CDLL(None, use_errno=True)
    if library.proc_pid_rusage(pid, RUSAGE_INFO_V4, ctypes.byref(usage)) != 0:
        if ctypes.get_errno() == errno.ESRCH:
            raise psutil.NoSuchProcess(pid)
        raise psutil.AccessDenied(pid)
    return int(usage.phys_footprint)
