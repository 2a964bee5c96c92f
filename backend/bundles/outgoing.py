"""A run as a zip file, streamed: nothing is written to the disk for it."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from backend.bundles.manifest import FLAT_FOLDERS, MANIFEST_NAME, PICTURES, Manifest, is_member
from OnPolicyDistill.files import open_plain
from OnPolicyDistill.runs.checkpoints import list_checkpoints, pointed
from OnPolicyDistill.runs.directory import RunDirectory

Choice = Literal["all", "best", "last", "none"]

CHUNK_BYTES = 1 << 20


class Outlet(io.RawIOBase):
    """Collects what the zip writer writes until it is sent."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def writable(self) -> bool:
        """Say that it takes bytes."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile writes bytes only
        """Take what the zip writer has ready."""
        self._chunks.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """Return what came in since the last time."""
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


def stream_bundle(run: RunDirectory, checkpoints: Choice) -> Iterator[bytes]:
    """Yield a run's folder as a zip file; each file as long as it is when its turn comes."""
    outlet = Outlet()
    kept = _chosen(run, checkpoints)
    best, last = pointed(run, "best"), pointed(run, "last")
    names = {path.name for path in kept}
    manifest = Manifest(
        run_id=run.run_id,
        best=best.name if best is not None and best.name in names else None,
        last=last.name if last is not None and last.name in names else None,
    )
    with zipfile.ZipFile(outlet, "w", allowZip64=True) as archive:
        archive.writestr(MANIFEST_NAME, manifest.model_dump_json())
        for path in _files(run, kept):
            yield from add_file(archive, outlet, path, path.relative_to(run.path).as_posix())
    yield outlet.take()


def _chosen(run: RunDirectory, checkpoints: Choice) -> list[Path]:
    found = list_checkpoints(run)
    if checkpoints == "all":
        return found
    if checkpoints == "none":
        return []
    target = pointed(run, checkpoints)
    return [path for path in found if target is not None and path.name == target.name]


def _files(run: RunDirectory, checkpoints: list[Path]) -> Iterator[Path]:
    """Yield what travels: regular files in folders of the run's own, none of them a link."""
    others = [run.path / name for name in (*FLAT_FOLDERS, PICTURES)]
    own = [folder for folder in others if folder.is_dir() and not folder.is_symlink()]
    for folder in (run.path, *checkpoints, *own):
        for path in sorted(folder.iterdir()):
            name = path.relative_to(run.path).as_posix()
            is_taken = name != MANIFEST_NAME and is_member(name)
            if is_taken and stat.S_ISREG(path.lstat().st_mode):
                yield path


def add_file(archive: zipfile.ZipFile, outlet: Outlet, path: Path, name: str) -> Iterator[bytes]:
    """Yield a file's part of a zip archive, as long as the file is now."""
    info = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
    # Weights hardly shrink; text does.
    packed = path.suffix != ".safetensors"
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    remaining = path.lstat().st_size
    with open_plain(path) as source, archive.open(info, "w", force_zip64=True) as target:
        while remaining > 0:
            chunk = source.read(min(CHUNK_BYTES, remaining))
            if not chunk:
                break
            target.write(chunk)
            remaining -= len(chunk)
            yield outlet.take()
    yield outlet.take()
