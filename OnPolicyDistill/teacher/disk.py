"""The teacher cache on disk: arrays by name, a safetensors file each, bounded in bytes.

A file holds its own name and a hash of everything in it, so that one that was damaged, cut short or
put in another's place is told, forgotten and made again, and never taken for an answer. What was
not used for longest goes first; the time of its last use is the file's own. Several processes may
share a folder: files come whole or not at all, and one that another process took away is a miss.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import mlx.core as mx
import numpy as np

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import disk_errors, make_private, read_plain

SUFFIX = ".safetensors"
# What is found in a folder and named so is ours, whatever else a user keeps there.
OWN_NAME = re.compile(r"[^/]+/(?:head|[^/]+/([0-9a-f]{2})/\1[0-9a-f]{30,})")
OWN_TEMPORARY = re.compile(r"\.(?:head|[0-9a-f]{32,})\.safetensors\.[0-9]+\.tmp")
HASH, NAME = "sha256", "name"
STALE_SECONDS = 3600.0
# What the header of a row takes beside its arrays.
HEADER_BYTES = 1_000_000

# Says what a person should know: a code, what happened, what follows.
Tell = Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True)
class Stored:
    """Evaluated arrays, and words beside them."""

    arrays: Mapping[str, mx.array]
    about: Mapping[str, str]


class DiskCache:
    """Named arrays in a folder within `capacity_bytes`; counts hits, misses and evictions.

    Names are relative paths without an ending, `3fa1/hidden_states/ab/ab...` with 32 digits at
    least. A teacher's `head`, without which its rows say nothing, counts and is never evicted.
    Files of other names that a folder has, such as models, are neither counted nor removed.
    """

    def __init__(self, folder: Path, capacity_bytes: int, tell: Tell) -> None:
        self.folder = folder
        self.capacity_bytes = capacity_bytes
        self.hits = 0
        self.misses = 0
        self.evictions = 0
        self._tell = tell
        make_private(folder)
        self._sizes = OrderedDict(_found(folder))
        self.num_bytes = sum(self._sizes.values())

    def __contains__(self, name: str) -> bool:
        """Whether a file of that name is there now, sound or not."""
        return self._file(name).is_file()

    def get(self, name: str) -> Stored | None:
        """What is kept under a name, and mark it as used; None where nothing sound is."""
        stored = self._read(name)
        self.hits += stored is not None
        self.misses += stored is None
        if stored is None:
            self._forget(name)
            return None
        with suppress(OSError):
            os.utime(self._file(name))
        self._note(name)
        return stored

    def put(self, name: str, arrays: Mapping[str, mx.array], about: Mapping[str, str]) -> bool:
        """Keep arrays, evicting what was not used for longest; False where there is no room.

        Raises:
            DiskFullError: the disk is full before the cache is.
        """
        evaluated = dict(arrays)
        mx.eval(evaluated)
        told = {**about, NAME: name}
        content = _packed(evaluated, {**told, HASH: _digest(evaluated, told)})
        self._forget(name)
        if not _is_pinned(name) and not self._make_room(len(content)):
            return False
        file = self._file(name)
        make_private(file.parent)
        _write(file, content)
        self._note(name)
        return True

    def _make_room(self, num_bytes: int) -> bool:
        """Evict until so many bytes fit; False where they never will."""
        if self.num_bytes + num_bytes <= self.capacity_bytes:
            return True
        if num_bytes > self.capacity_bytes:
            return False
        for name in [name for name in self._sizes if not _is_pinned(name)]:
            self._file(name).unlink(missing_ok=True)
            self._forget(name)
            self.evictions += 1
            if self.num_bytes + num_bytes <= self.capacity_bytes:
                return True
        return False

    def _read(self, name: str) -> Stored | None:
        file = self._file(name)
        try:
            # A file can be no larger than the whole cache, or than it was when it was written.
            size = max(self.capacity_bytes, self._sizes.get(name, 0)) + HEADER_BYTES
            arrays, about = _unpacked(read_plain(file, size))
        except FileNotFoundError:
            return None
        except (RunError, RuntimeError, ValueError) as error:
            self._drop(file, str(error).splitlines()[0])
            return None
        told = {key: text for key, text in about.items() if key != HASH}
        if told.get(NAME) != name:
            self._drop(file, "it belongs elsewhere")
            return None
        if about.get(HASH) != _digest(arrays, told):
            self._drop(file, "its hash is another")
            return None
        return Stored(arrays, told)

    def _drop(self, file: Path, why: str) -> None:
        with suppress(OSError):
            file.unlink(missing_ok=True)
        self._tell(
            "teacher_cache_damaged",
            f"{file} of the teacher cache is damaged ({why}).",
            "It was removed and is made again.",
        )

    def _note(self, name: str) -> None:
        """Count a file that is there, as the one used last."""
        self._forget(name)
        with suppress(OSError):
            size = self._file(name).stat().st_size
            self._sizes[name] = size
            self.num_bytes += size

    def _forget(self, name: str) -> None:
        self.num_bytes -= self._sizes.pop(name, 0)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}{SUFFIX}"


def _found(folder: Path) -> Iterator[tuple[str, int]]:
    """Names and sizes of the files in a folder, what was not used for longest first."""
    seen: list[tuple[float, str, int]] = []
    for place, _, names in os.walk(folder):
        for file in (Path(place) / name for name in names):
            with suppress(OSError):
                state = file.lstat()
                name = file.relative_to(folder).as_posix().removesuffix(SUFFIX)
                if OWN_TEMPORARY.fullmatch(file.name):
                    _remove_stale(file, state.st_mtime)
                elif file.suffix == SUFFIX and OWN_NAME.fullmatch(name) and not file.is_symlink():
                    seen.append((state.st_mtime, name, state.st_size))
    yield from ((name, size) for _, name, size in sorted(seen))


def _write(file: Path, content: bytes) -> None:
    """Put a whole file in place without waiting for the drive.

    What a power cut takes is made again: a step has dozens of rows, and each wait takes longer
    than the row.
    """
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with disk_errors(file):
        try:
            temporary.write_bytes(content)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)


def _is_pinned(name: str) -> bool:
    return name.endswith("/head")


def _remove_stale(file: Path, changed: float) -> None:
    """What a process left that was killed while it wrote."""
    if time.time() - changed > STALE_SECONDS:
        file.unlink(missing_ok=True)


class _Buffer(io.BytesIO):
    """A file in memory that outlives MLX's closing it."""

    def close(self) -> None:
        """Nothing: it is read afterwards."""


def _packed(arrays: Mapping[str, mx.array], about: Mapping[str, str]) -> bytes:
    buffer = _Buffer()
    mx.save_safetensors(buffer, dict(arrays), dict(about))
    return buffer.getvalue()


def _unpacked(content: bytes) -> tuple[dict[str, mx.array], dict[str, str]]:
    loaded = mx.load(io.BytesIO(content), format="safetensors", return_metadata=True)
    arrays, about = cast("tuple[dict[str, mx.array], dict[str, str]]", loaded)
    mx.eval(arrays)
    return arrays, about


def _digest(arrays: Mapping[str, mx.array], about: Mapping[str, str]) -> str:
    """Hash names, types, shapes and bytes of arrays, and the words beside them."""
    digest = hashlib.sha256(repr(sorted(about.items())).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        bits = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
        digest.update(np.ascontiguousarray(np.array(bits)).tobytes())
    return digest.hexdigest()
