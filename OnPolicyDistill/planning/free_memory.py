"""Whether a run fits into the memory that is free now, and who holds the rest.

The plan compares with what the machine has; this compares with what others have left of it.
A run whose needs are unknown is not judged. Available memory is what the system would give without
swapping: on macOS free and inactive pages, on Linux its own estimate.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath

import psutil

GB = 1e9
SMALLEST_HOLDER_BYTES = 1_000_000_000
NAMED_HOLDERS = 3


@dataclass(frozen=True, slots=True)
class Holder:
    """A program by its name with the memory of all its processes, in bytes."""

    name: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """A run that needs more than is free now; bytes. `is_at_least` where others may hold more."""

    needed: int
    available: int
    holders: tuple[Holder, ...]
    is_at_least: bool

    @property
    def message(self) -> str:
        """What is missing and who has it, in words."""
        return (
            f"By forecast this run needs {self.needed / GB:.1f} GB, and {self.available / GB:.1f} "
            f"GB are free now.{self._held()}"
        )

    def _held(self) -> str:
        if not self.holders:
            return ""
        least = "at least " if self.is_at_least else ""
        told = (f"{it.name} holds {least}{it.num_bytes / GB:.0f} GB" for it in self.holders)
        return f" {', '.join(told)}."


def find_shortage(needed_gb: float | None) -> Shortage | None:
    """What stands against starting now a run that needs this much; None where nothing does."""
    if needed_gb is None:
        return None
    needed, available = round(needed_gb * GB), available_bytes()
    if needed <= available:
        return None
    return Shortage(needed, available, largest_holders(), platform.system() == "Darwin")


def available_bytes() -> int:
    """Memory that could be used now without swapping."""
    return int(psutil.virtual_memory().available)


def largest_holders() -> tuple[Holder, ...]:
    """The programs that hold most, largest first, by resident memory.

    macOS shows what a GPU holds of another program's memory only to root, so there it is less
    than they hold.
    """
    return rank(_processes())


def rank(processes: Iterable[tuple[str, int]]) -> tuple[Holder, ...]:
    """Add up processes by name and keep the few that hold much."""
    sums: Counter[str] = Counter()
    for name, num_bytes in processes:
        sums[name] += num_bytes
    largest = sums.most_common(NAMED_HOLDERS)
    return tuple(Holder(name, size) for name, size in largest if size >= SMALLEST_HOLDER_BYTES)


def program_name(executable: str, name: str) -> str:
    """The app that a program lies in, such as LM Studio for each of its helpers, else its name."""
    for part in PurePath(executable).parts:
        if part.endswith(".app"):
            return part.removesuffix(".app")
    return name


def _processes() -> Iterator[tuple[str, int]]:
    """Name and resident bytes of every process that may be looked at, this one left out."""
    own = psutil.Process().pid
    for process in psutil.process_iter(["pid", "name", "exe", "memory_info"]):
        found = process.info
        if found["memory_info"] is not None and found["pid"] != own and found["name"]:
            yield program_name(found["exe"] or "", found["name"]), found["memory_info"].rss
