"""Takes a run's zip file in: nothing in it is believed, and nothing half is left behind."""

from __future__ import annotations

import errno
import io
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from backend.bundles.manifest import MANIFEST_NAME, Manifest, is_member
from backend.problems import ConflictError
from backend.ranks import forget
from backend.settings import BackendSettings
from backend.system.reserves import load_reserves
from OnPolicyDistill.errors import DiskFullError, InputError
from OnPolicyDistill.files import disk_errors, make_private
from OnPolicyDistill.runs.annotations import read_annotations
from OnPolicyDistill.runs.checkpoints import point
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.log import read_events

MAX_ENTRIES = 20_000
MAX_MANIFEST_BYTES = 10_000
# Deflate itself cannot pack better than about 1030 to 1; logs reach 60.
MAX_RATIO = 200
SMALL_BYTES = 10_000_000
CHUNK_BYTES = 1 << 20
# What zipfile and zlib raise on damaged, encrypted or exotic archives.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
)
# The others need far more memory to unpack, and no run was ever packed so.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# The list of 20,000 entries has less.
MAX_DIRECTORY_BYTES = 4_000_000


class BundleError(InputError):
    """The zip file is not a run's bundle, or not a safe one."""

    code = "invalid_bundle"


def take_in(settings: BackendSettings, bundle: Path) -> RunDirectory:
    """Unpack a bundle beside the runs, check it as a run, and move it among them.

    Raises:
        BundleError: it is damaged, unsafe, or no run.
        ConflictError: there is a run of this id already.
        DiskFullError: there is no room for it.
    """
    folder = settings.scratch / f"{bundle.name}.unpacked"
    try:
        with _damage_in_words(), _Careful(bundle) as file, zipfile.ZipFile(file) as archive:
            manifest = _read_manifest(archive)
            run = RunDirectory(settings.runs / manifest.run_id)
            _refuse_known(settings, run)
            _check_entries(archive, settings)
            _unpack(archive, folder)
        _check_run(RunDirectory(folder))
        _restore_links(RunDirectory(folder), manifest)
        forget(settings.workspace, run.run_id)
        folder.rename(run.path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return run


class _Careful(io.BufferedReader):
    """Reads no more at once than a run's archive asks for: its directory is read whole."""

    def __init__(self, bundle: Path) -> None:
        super().__init__(io.FileIO(bundle))

    def read(self, size: int | None = -1) -> bytes:
        """Read as usual, up to a limit."""
        wanted = MAX_DIRECTORY_BYTES + 1 if size is None or size < 0 else size
        found = super().read(min(wanted, MAX_DIRECTORY_BYTES + 1))
        if len(found) > MAX_DIRECTORY_BYTES:
            raise zipfile.BadZipFile("its directory is too long")
        return found


@contextmanager
def _damage_in_words() -> Iterator[None]:
    try:
        yield
    except (*DAMAGE, OSError) as error:
        # A wrong offset in the directory of the archive ends as an impossible seek.
        if isinstance(error, OSError) and error.errno not in (errno.EINVAL, None):
            raise
        raise BundleError(
            f"The file is not a readable zip file ({error}).", "Export it again."
        ) from error


def _refuse_known(settings: BackendSettings, run: RunDirectory) -> None:
    if run.path.exists() or (settings.trash / run.run_id).exists():
        raise ConflictError(
            f"There is a run {run.run_id} already, here or in the trash.",
            "Purge it first if the bundle shall replace it.",
        )


def _read_manifest(archive: zipfile.ZipFile) -> Manifest:
    try:
        if archive.getinfo(MANIFEST_NAME).compress_type not in METHODS:
            raise BundleError("The bundle is packed in a way that none is.", "Export it again.")
        with archive.open(MANIFEST_NAME) as stream:
            return Manifest.model_validate_json(stream.read(MAX_MANIFEST_BYTES))
    except (KeyError, ValidationError) as error:
        raise BundleError(
            f"The zip file has no valid {MANIFEST_NAME}, so it is no run's bundle.",
            "Export it from a run's page.",
        ) from error


def _check_entries(archive: zipfile.ZipFile, settings: BackendSettings) -> None:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise BundleError(f"The bundle has {len(entries)} entries.", f"{MAX_ENTRIES} is the limit.")
    seen: set[str] = set()
    for entry in entries:
        _check_entry(entry)
        if entry.filename.casefold() in seen:
            raise BundleError(f"The bundle has {entry.filename} twice.", "Export it again.")
        seen.add(entry.filename.casefold())
    total = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if total > SMALL_BYTES + MAX_RATIO * packed:
        raise BundleError(
            f"Unpacked it would be {total / 1e9:.1f} GB, {total // max(packed, 1)} times as much.",
            "No run's files are so empty; nothing was unpacked.",
        )
    if total > settings.max_bundle_bytes:
        raise BundleError(f"Unpacked it would be {total / 1e9:.1f} GB.", "That is over the limit.")
    if total + load_reserves(settings).disk_gb * 1e9 > shutil.disk_usage(settings.workspace).free:
        raise DiskFullError(f"Unpacked it needs {total / 1e9:.1f} GB.", "Free some space first.")


def _check_entry(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    is_file = kind in (0, stat.S_IFREG) and not entry.is_dir()
    name = entry.filename
    # The name as stored, too: zipfile cuts at a NUL and turns backslashes around on its way.
    if not is_file or not is_member(name) or entry.orig_filename != name:
        raise BundleError(
            f"The bundle has the entry {entry.orig_filename[:80]!r}, which is no file of a run.",
            "Nothing was unpacked.",
        )
    if entry.compress_type not in METHODS:
        raise BundleError(f"{name} is packed in a way that no run's is.", "Export it again.")
    is_large = entry.file_size > SMALL_BYTES
    if is_large and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        raise BundleError(
            f"{name} would grow {entry.file_size // max(entry.compress_size, 1)} times.",
            "That is no run's file; nothing was unpacked.",
        )


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    make_private(folder)
    (folder / "checkpoints").mkdir()
    for entry in archive.infolist():
        if entry.filename == MANIFEST_NAME:
            continue
        target = folder / entry.filename
        target.parent.mkdir(exist_ok=True)
        with disk_errors(target), archive.open(entry) as source, target.open("xb") as sink:
            _copy(source, sink, entry)


def _copy(source: IO[bytes], sink: IO[bytes], entry: zipfile.ZipInfo) -> None:
    """Copy what was declared and not a byte more, whatever the entry really unpacks to."""
    remaining = entry.file_size
    while chunk := source.read(CHUNK_BYTES):
        remaining -= len(chunk)
        if remaining < 0:
            raise BundleError(f"{entry.filename} is larger than it says.", "Export it again.")
        sink.write(chunk)


def _check_run(run: RunDirectory) -> None:
    if not run.config_file.is_file():
        raise BundleError("The bundle has no config.yaml.", "Export it again.")
    run.config()
    read_annotations(run)
    for _ in read_events(run.events_file):
        pass


def _restore_links(run: RunDirectory, manifest: Manifest) -> None:
    for name, target in (("best", manifest.best), ("last", manifest.last)):
        if target is not None and (run.checkpoints / target).is_dir():
            point(run, name, run.checkpoints / target)
