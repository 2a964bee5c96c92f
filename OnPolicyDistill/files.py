"""Files: writes that survive a crash, a full disk said in words, and where shipped files are."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from OnPolicyDistill.errors import DiskFullError, InputError
from OnPolicyDistill.macos import full_sync


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk into one sentence that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk that holds {path.parent} is full, so {path.name} was not written.",
                "Free some space and resume the run; everything written before is intact.",
            ) from error
        raise


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `target` at the end, or vanishes on an error.

    Raises:
        InputError: the target exists.
        DiskFullError: the disk has no room.
    """
    if target.exists():
        raise InputError(f"{target} exists already.", "Give another folder, or remove it first.")
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with disk_errors(partial):
        try:
            partial.mkdir(parents=True)
            yield partial
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def sync_whole(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        full_sync(handle)
    finally:
        os.close(handle)


def append_whole(descriptor: int, data: bytes) -> int:
    """Append bytes to an unbuffered file, all or none; returns the offset they start at.

    Half a line left by a full disk would be followed by the next line and damage the file in its
    middle, so it is taken back. Only one writer may have the file open.
    """
    start = os.fstat(descriptor).st_size
    remaining = memoryview(data)
    try:
        while remaining:
            remaining = remaining[os.write(descriptor, remaining) :]
    except OSError:
        os.ftruncate(descriptor, start)
        raise
    return start


def write_text_atomically(path: Path, text: str) -> None:
    """Replace a text file so that a reader sees the old or the new one, never half of it."""
    write_bytes_atomically(path, text.encode())


def write_bytes_atomically(path: Path, data: bytes) -> None:
    """Replace a file so that a reader sees the old or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_errors(path):
        try:
            with temporary.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
            _sync_names(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync_names(folder: Path) -> None:
    """Hand renames inside a folder to the drive; small files need no more."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def shipped_folder(name: str) -> Path:
    """Return `configs` or `data` as shipped: beside the package in a checkout, inside a wheel."""
    package = Path(__file__).resolve().parent
    installed = package / "_shipped" / name
    return installed if installed.is_dir() else package.parent / name
