"""The teacher cache on disk: arrays by name, a safetensors file each, bounded in bytes.

A file holds its own name and a hash of everything in it, so that one that was damaged, cut short or
put in another's place is told, forgotten and made again, and never taken for an answer. What was
not used for longest goes first; the time of its last use is the file's own. Several processes may
share a folder and its bound (room.py): files come whole or not at all, and one that another process
took away is a miss.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import mlx.core as mx
import numpy as np

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import disk_errors, make_private, read_plain
from OnPolicyDistill.teacher.room import SharedRoom, Tell, is_pinned

HASH, NAME = "sha256", "name"
# What the header of a row takes beside its arrays.
HEADER_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Stored:
    """Evaluated arrays, and words beside them."""

    arrays: Mapping[str, mx.array]
    about: Mapping[str, str]


class DiskCache:
    """Named arrays in a folder within `capacity_bytes`; counts hits and misses.

    Names are relative paths without an ending, `3fa1/hidden_states/ab/ab...` with 32 digits at
    least. A teacher's `head`, without which its rows say nothing, counts and is never evicted.
    Files of other names that a folder has, such as models, are neither counted nor removed.
    """

    def __init__(self, folder: Path, capacity_bytes: int, tell: Tell) -> None:
        self.folder = folder
        self.hits = 0
        self.misses = 0
        self._tell = tell
        make_private(folder)
        self._room = SharedRoom(folder, capacity_bytes, tell)

    @property
    def num_bytes(self) -> int:
        """Bytes that all processes have put there, as far as was heard last."""
        return self._room.num_bytes

    @property
    def evictions(self) -> int:
        """Files that went for others of this process."""
        return self._room.evictions

    def __contains__(self, name: str) -> bool:
        """Whether a file of that name is there now, sound or not."""
        return self._file(name).is_file()

    def get(self, name: str) -> Stored | None:
        """What is kept under a name, and mark it as used; None where nothing sound is."""
        stored = self._read(name)
        self.hits += stored is not None
        self.misses += stored is None
        if stored is not None:
            with suppress(OSError):
                os.utime(self._file(name))
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
        file = self._file(name)
        with self._room.taken(name, len(content)) as has_room:
            if has_room:
                make_private(file.parent)
                _write(file, content)
        return has_room

    def _read(self, name: str) -> Stored | None:
        file = self._file(name)
        try:
            # A row can be no larger than the whole cache; a head is kept whatever its size.
            most = file.lstat().st_size if is_pinned(name) else self._room.capacity_bytes
            arrays, about = _unpacked(read_plain(file, most + HEADER_BYTES))
        except FileNotFoundError:
            return None
        except (RunError, RuntimeError, ValueError) as error:
            self._drop(name, str(error).splitlines()[0])
            return None
        told = {key: text for key, text in about.items() if key != HASH}
        if told.get(NAME) != name:
            self._drop(name, "it belongs elsewhere")
            return None
        if about.get(HASH) != _digest(arrays, told):
            self._drop(name, "its hash is another")
            return None
        return Stored(arrays, told)

    def _drop(self, name: str, why: str) -> None:
        self._room.remove(name)
        self._tell(
            "teacher_cache_damaged",
            f"{self._file(name)} of the teacher cache is damaged ({why}).",
            "It was removed and is made again.",
        )

    def _file(self, name: str) -> Path:
        return self._room.file(name)


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
