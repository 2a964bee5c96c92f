"""Files: writes that survive a crash, reads that nothing can hold up, where shipped files are.

A folder may come from elsewhere: by a zip file, a sync service, a crash. A pipe or device in the
place of a file would hang its reader, a link could lead anywhere, and a file may have any size.
Whoever reads such a folder does so by `read_plain` and its relatives here.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from OnPolicyDistill.errors import DiskFullError, InputError, RunError
from OnPolicyDistill.macos import full_sync

# Three times the largest tokenizer.json that was seen.
MAX_MODEL_FILE_BYTES = 100_000_000
MAX_RECORD_BYTES = 1_000_000
_NEITHER_WAIT_NOR_FOLLOW = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_OTHER_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def kind_of(path: Path) -> str | None:
    """Say what lies at a path where it is neither a regular file nor nothing; links count as such.

    Raises:
        RunError: it may not be looked at.
    """
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    return None if stat.S_ISREG(mode) else _OTHER_KINDS.get(stat.S_IFMT(mode), "no file")


def open_plain(file: Path) -> BinaryIO:
    """Open a regular file for reading: no link is followed, and nothing is waited for.

    Raises:
        FileNotFoundError: nothing is there.
        RunError: something else is there, or it may not be read.
    """
    return os.fdopen(_descriptor(file, os.O_RDONLY), "rb")


def open_to_append(file: Path) -> BinaryIO:
    """Open a regular file, or a new one, for appending without a buffer, as `open_plain` does.

    Raises:
        RunError: something else is there, or it may not be written.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    return os.fdopen(_descriptor(file, flags), "ab", buffering=0)


def open_in_place(file: Path) -> BinaryIO:
    """Open a regular file, or a new one, for reading and writing over it, as `open_to_append` does.

    Raises:
        RunError: something else is there, or it may not be written.
    """
    return os.fdopen(_descriptor(file, os.O_RDWR | os.O_CREAT), "r+b", buffering=0)


def _descriptor(file: Path, flags: int) -> int:
    # Asked before opening too: to open a device is to do something to it.
    _refuse_other(file, kind_of(file))
    try:
        descriptor = os.open(file, flags | _NEITHER_WAIT_NOR_FOLLOW, 0o666)
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(file)) from error
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        _refuse_other(file, _OTHER_KINDS.get(stat.S_IFMT(mode), "no file"))
    return descriptor


def _refuse_other(file: Path, kind: str | None) -> None:
    if kind is not None:
        raise RunError(f"{file} is {kind}, where a file belongs.", "Put the file back.")


def _unreadable(file: Path, error: OSError | ValueError) -> RunError:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return RunError(f"{file} cannot be read ({reason}).", "Check that it is whole and yours.")


def read_plain(file: Path, max_bytes: int = MAX_RECORD_BYTES) -> bytes:
    """Return what is in a regular file.

    Raises:
        FileNotFoundError: nothing is there.
        RunError: something else is there, it is larger, or it may not be read.
    """
    with open_plain(file) as stream:
        try:
            found = stream.read(max_bytes + 1)
        except OSError as error:
            raise _unreadable(file, error) from error
    if len(found) > max_bytes:
        raise RunError(
            f"{file} is larger than {max_bytes / 1e6:g} MB.", "No such file is; restore it."
        )
    return found


def open_model_file(file: Path) -> BinaryIO:
    """Open a file of a model's folder: a regular one, and nothing is waited for.

    Links are followed, since the hub's cache consists of them.

    Raises:
        OSError: nothing is there, something else is, or it may not be read.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(file))
    return os.fdopen(descriptor, "rb")


def read_model_file(file: Path) -> bytes:
    """What is in a file of a model's folder that is read whole: config, tokenizer, template.

    Raises:
        OSError: as `open_model_file`, or it is larger than any that was published.
    """
    with open_model_file(file) as stream:
        found = stream.read(MAX_MODEL_FILE_BYTES + 1)
    if len(found) > MAX_MODEL_FILE_BYTES:
        size = f"{MAX_MODEL_FILE_BYTES // 10**6} MB"
        raise OSError(errno.EFBIG, f"it is larger than {size}", str(file))
    return found


def remove_any(path: Path) -> None:
    """Remove a folder with all that is in it, or whatever else is there; a link itself only."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def set_aside(path: Path) -> None:
    """Rename what cannot be used, so that it is made again and nothing is lost."""
    path.rename(path.with_name(f"{path.name}.damaged-{secrets.token_hex(4)}"))


def make_private(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for this user only."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk into one sentence that names the folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk that holds {path.parent} is full, so {path.name} was not written.",
                "Free some space and try again, or resume the run; nothing written before is lost.",
            ) from error
        raise


def refuse_taken(target: Path) -> None:
    """Refuse to write a folder that is there.

    Raises:
        InputError: the target exists.
    """
    if target.exists():
        raise InputError(f"{target} exists already.", "Give another folder, or remove it first.")


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Give a folder to fill that becomes `target` at the end, or vanishes on an error.

    Raises:
        InputError: the target exists.
        DiskFullError: the disk has no room.
    """
    refuse_taken(target)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with disk_errors(target):
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
            temporary.unlink(missing_ok=True)
            # "x" follows no link that somebody put in its place.
            with temporary.open("xb") as stream:
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
