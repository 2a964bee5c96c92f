"""A JSONL file that somebody appends to: where its whole lines are, and reading any of them."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import kind_of, open_plain
from OnPolicyDistill.runs.log import MAX_ROLLOUT_BYTES

BLOCK_BYTES = 1 << 20
# The place of each line is kept, 8 bytes a line.
MAX_LINES = 4_000_000


class FileReplacedError(RunError):
    """The file is another one than before, or shorter than what was read of it."""

    code = "file_replaced"


class LineFile:
    """Knows the end of every whole line seen so far; a torn last line is left for later."""

    def __init__(self, path: Path, max_line_bytes: int = MAX_ROLLOUT_BYTES) -> None:
        self.path = path
        self._max_line_bytes = max_line_bytes
        self._ends = array("q")
        self._inode: int | None = None

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def num_bytes(self) -> int:
        """Bytes of the whole lines seen so far."""
        return self._ends[-1] if self._ends else 0

    def ends(self) -> bytes:
        """Return the ends of all lines as native 64-bit integers, for `restore`."""
        return self._ends.tobytes()

    def restore(self, ends: bytes, inode: int) -> None:
        """Begin behind lines that were seen before, in the file that is there now."""
        self._ends = array("q", ends)
        self._inode = inode

    def new_lines(self) -> Iterator[bytes]:
        """Yield whole lines that came since the last call, without their line ends.

        Raises:
            FileReplacedError: what was read before is gone.
            RunError: it is no regular file, or has a line or a number of lines that no run has.
        """
        if not self._has_grown():
            return
        with open_plain(self.path) as stream:
            stream.seek(self.num_bytes)
            while line := stream.readline(self._max_line_bytes + 1):
                if len(line) > self._max_line_bytes or len(self._ends) >= MAX_LINES:
                    raise self._too_much(len(line))
                if not line.endswith(b"\n"):
                    return
                self._ends.append(self.num_bytes + len(line))
                yield line[:-1]

    def _too_much(self, num_bytes: int) -> RunError:
        what = f"more than {MAX_LINES:,} lines"
        if num_bytes > self._max_line_bytes:
            what = f"a line of more than {self._max_line_bytes / 1e6:g} MB"
        return RunError(f"{self.path} has {what}.", "It was damaged; restore it from a backup.")

    def _has_grown(self) -> bool:
        try:
            stat = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            if self._ends:
                raise FileReplacedError(f"{self.path} is gone.", "Reload.") from None
            return False
        if self._inode is None:
            self._inode = stat.st_ino
        if stat.st_ino != self._inode or stat.st_size < self.num_bytes:
            raise FileReplacedError(f"{self.path} was replaced.", "Reload.")
        kind = kind_of(self.path)
        if kind is not None:
            raise RunError(f"{self.path} is {kind}, where a file belongs.", "Put the file back.")
        return stat.st_size > self.num_bytes

    def read(self, first: int, count: int, max_bytes: int = 4 * BLOCK_BYTES) -> list[bytes]:
        """Return up to `count` lines from number `first`; at least one, else within max_bytes."""
        last = min(first + count, len(self._ends))
        if first >= last:
            return []
        start = self.start_of(first)
        while last > first + 1 and self._ends[last - 1] - start > max_bytes:
            last = first + (last - first) // 2
        with open_plain(self.path) as stream:
            stream.seek(start)
            return stream.read(self._ends[last - 1] - start).split(b"\n")[:-1]

    def start_of(self, number: int) -> int:
        """Return the byte at which a line starts."""
        return self._ends[number - 1] if number else 0

    def number_at(self, offset: int) -> int | None:
        """Return the number of the line that starts at a byte, or None where none does."""
        if offset == 0:
            return 0 if self._ends else None
        number = bisect_left(self._ends, offset) + 1
        starts = number < len(self._ends) and self._ends[number - 1] == offset
        return number if starts else None
