"""How much of a folder the teacher cache takes, held within its bound by all who share the folder.

A small file holds how many bytes they have put there, and is locked while one of them makes room
and writes. It goes up before a file is written, so that a process that is killed leaves it too high
and not too low. What came of that, or of a user's hand, is put right by whoever looks at all files:
every process before it writes its first, and whenever no more are known that may go. Who only reads
needs neither the lock nor the right to write.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import disk_errors, open_in_place

SUFFIX = ".safetensors"
COUNT_FILE = "taken.lock"
# What is found in a folder and named so is ours, whatever else a user keeps there.
OWN_NAME = re.compile(r"[^/]+/(?:head|[^/]+/([0-9a-f]{2})/\1[0-9a-f]{30,})")
OWN_TEMPORARY = re.compile(r"\.(?:head|[0-9a-f]{32,})\.safetensors\.[0-9]+\.tmp")
STALE_SECONDS = 3600.0
# Digits of the count: always as many, so that no shorter number leaves the end of a longer one.
DIGITS = 20
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)

# Says what a person should know: a code, what happened, what follows.
Tell = Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A file of the cache: when it was last used, in ns, its name and its size in bytes."""

    used: int
    name: str
    num_bytes: int


class SharedRoom:
    """`capacity_bytes` of a folder; `num_bytes` are taken, by whomever, as far as was heard last.

    `evictions` are those of this process.
    """

    def __init__(self, folder: Path, capacity_bytes: int, tell: Tell) -> None:
        self.folder = folder
        self.capacity_bytes = capacity_bytes
        self.num_bytes = 0
        self.evictions = 0
        self._tell = tell
        self._knows_no_locks = False
        self._has_looked = False
        self._oldest: deque[Found] = deque()
        self._look()

    @contextmanager
    def taken(self, name: str, num_bytes: int) -> Iterator[bool]:
        """Room for a file that is written meanwhile, what was not used for longest going first.

        Gives False where there is no room, also when all others are gone. A teacher's head always
        has room.
        """
        with self._locked() as count:
            if not self._has_looked:
                self._look()
                self._has_looked = True
            has_room = is_pinned(name) or self._make_room(num_bytes)
            if has_room:
                self.num_bytes += num_bytes - _size_of(self.file(name))
                self._write(count)
            yield has_room

    def remove(self, name: str) -> None:
        """Remove a file where that is allowed, and give its room back."""
        with suppress(OSError, RunError), self._locked():
            self._remove(self.file(name))

    def file(self, name: str) -> Path:
        """Where a name is kept."""
        return self.folder / f"{name}{SUFFIX}"

    def _make_room(self, num_bytes: int) -> bool:
        """Evict until so many bytes fit; False where they never will."""
        if num_bytes > self.capacity_bytes:
            return False
        has_looked = False
        while self.num_bytes + num_bytes > self.capacity_bytes:
            if not self._oldest:
                if has_looked:
                    return False
                self._look()
                has_looked = True
                continue
            found = self._oldest.popleft()
            if has_looked or self._is_unused(found):
                self.evictions += self._remove(self.file(found.name))
        return True

    def _look(self) -> None:
        """Count what is there, and note in which order it may go."""
        found = sorted(_found(self.folder), key=lambda one: (one.used, one.name))
        self.num_bytes = sum(one.num_bytes for one in found)
        self._oldest = deque(one for one in found if not is_pinned(one.name))

    def _is_unused(self, found: Found) -> bool:
        """Whether a file is still there and nobody used it since it was looked at."""
        try:
            return self.file(found.name).lstat().st_mtime_ns == found.used
        except OSError:
            return False

    def _remove(self, file: Path) -> bool:
        """Remove a file; False where another process was faster."""
        num_bytes = _size_of(file)
        try:
            file.unlink()
        except FileNotFoundError:
            return False
        self.num_bytes -= num_bytes
        return True

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """Hear what all have counted, alone; what came of it is written at the end."""
        with open_in_place(self.folder / COUNT_FILE) as count:
            self._lock(count)
            counted = count.read(DIGITS)
            if len(counted) == DIGITS and counted.isdigit():
                self.num_bytes = int(counted)
            else:
                self._look()
            try:
                yield count
            finally:
                self._write(count)

    def _lock(self, count: BinaryIO) -> None:
        try:
            fcntl.flock(count, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            if self._knows_no_locks:
                return
            self._knows_no_locks = True
            self._tell(
                "teacher_cache_unlocked",
                f"The disk that holds {self.folder} knows no locks.",
                "Runs that share the folder at the same time may take more room than it has.",
            )

    def _write(self, count: BinaryIO) -> None:
        with disk_errors(self.folder / COUNT_FILE):
            count.seek(0)
            count.write(b"%0*d" % (DIGITS, max(0, self.num_bytes)))


def is_pinned(name: str) -> bool:
    """Whether a name is a teacher's head, without which its rows say nothing."""
    return name.endswith("/head")


def _size_of(file: Path) -> int:
    """How many bytes a file has; 0 where there is none."""
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return 0


def _found(folder: Path) -> Iterator[Found]:
    for place, _, names in os.walk(folder):
        for file in (Path(place) / name for name in names):
            with suppress(OSError):
                state = file.lstat()
                name = file.relative_to(folder).as_posix().removesuffix(SUFFIX)
                if OWN_TEMPORARY.fullmatch(file.name):
                    _remove_stale(file, state.st_mtime)
                elif file.suffix == SUFFIX and OWN_NAME.fullmatch(name) and not file.is_symlink():
                    yield Found(state.st_mtime_ns, name, state.st_size)


def _remove_stale(file: Path, changed: float) -> None:
    """What a process left that was killed while it wrote."""
    if time.time() - changed > STALE_SECONDS:
        file.unlink(missing_ok=True)
