"""The process of one download: python -m backend.downloads.worker RECORD_FILE."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections import deque
from pathlib import Path

import httpx
from huggingface_hub import HfFileMetadata, get_hf_file_metadata, hf_hub_url, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from backend.downloads.fetch import fetch
from backend.downloads.record import DownloadRecord, read_record, write_record
from backend.models.place import Hub
from OnPolicyDistill.errors import DiskFullError, DistillError
from OnPolicyDistill.models.hub import MODEL_FILES, download_model

WRITE_SECONDS = 0.5
RATE_SECONDS = 10.0
PATIENCE_SECONDS = 10.0
POLL_SECONDS = 0.02
SPARE_BYTES = 1_000_000_000
LARGE_FILES = ".safetensors"


class Journal:
    """Writes how far a download is, a few times a second."""

    def __init__(self, file: Path, record: DownloadRecord) -> None:
        self.record = record
        self._file = file
        self._written = 0.0
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, **changes: object) -> None:
        """Change the record and write it at once."""
        self.record = DownloadRecord.model_validate(
            {**self.record.model_dump(), **changes, "updated": time.time()}
        )
        self._written = time.monotonic()
        write_record(self._file, self.record)

    def progress(self, done_bytes: int) -> None:
        """Note how many bytes are there."""
        now = time.monotonic()
        self._seen.append((now, done_bytes))
        while now - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()
        if now - self._written < WRITE_SECONDS:
            return
        first_time, first_bytes = self._seen[0]
        rate = (done_bytes - first_bytes) / max(now - first_time, 1e-3)
        rest = (self.record.total_bytes or done_bytes) - done_bytes
        eta = rest / rate if rate > 0 else None
        self.note(done_bytes=done_bytes, bytes_per_second=rate or None, eta_seconds=eta)


def main() -> int:
    """Download what the record says; returns the exit code."""
    file = Path(sys.argv[1])
    record = _my_record(file)
    if record is None:
        sys.stderr.write(f"{file} is not this process's download.\n")
        return 2
    journal = Journal(file, record)
    try:
        folder = _download(journal)
    except DistillError as error:
        journal.note(state="failed", message=error.message, action=error.action)
        return error.exit_code
    total = journal.record.total_bytes
    done = journal.record.done_bytes if total is None else total
    journal.note(state="finished", path=str(folder), done_bytes=done, eta_seconds=None)
    return 0


def _my_record(file: Path) -> DownloadRecord | None:
    """Return the record once it names this process; None when it never does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        record = read_record(file)
        if record is not None and record.worker is not None and record.worker.pid == os.getpid():
            return record
        time.sleep(POLL_SECONDS)
    return None


def _download(journal: Journal) -> Path:
    record = journal.record
    hub = Hub(Path(record.cache_dir), record.endpoint)
    try:
        large = _plan(hub, journal)
    except (HfHubHTTPError, httpx.HTTPError, OSError):
        # The library's own download says in words what is wrong with the model or the network.
        return download_model(record.hub_id, hub.cache_dir, hub.endpoint)
    folder = hub.folder_of(record.hub_id) / "blobs"
    before = journal.record.done_bytes
    for url, about in large:

        def progress(done: int, before: int = before) -> None:
            journal.progress(before + done)

        fetch(url, about, folder, progress)
        before += about.size or 0
    return download_model(record.hub_id, hub.cache_dir, hub.endpoint)


def _plan(hub: Hub, journal: Journal) -> list[tuple[str, HfFileMetadata]]:
    """Ask for all sizes, refuse what the disk cannot hold, and return the large missing files."""
    hub_id = journal.record.hub_id
    files = snapshot_download(
        hub_id,
        allow_patterns=MODEL_FILES,
        cache_dir=hub.cache_dir,
        endpoint=hub.endpoint,
        dry_run=True,
    )
    missing = [file for file in files if file.will_download]
    total = sum(file.file_size or 0 for file in files)
    there = total - sum(file.file_size or 0 for file in missing)
    large = []
    for file in missing:
        if file.filename.endswith(LARGE_FILES):
            url = hf_hub_url(
                hub_id, file.filename, revision=file.commit_hash, endpoint=hub.endpoint
            )
            about = get_hf_file_metadata(url, endpoint=hub.endpoint)
            if about.etag is not None and about.size is not None:
                large.append((url, about))
    _check_room(hub, hub_id, large, total - there)
    journal.note(total_bytes=total, done_bytes=there)
    return large


def _check_room(
    hub: Hub, hub_id: str, large: list[tuple[str, HfFileMetadata]], missing_bytes: int
) -> None:
    parts = (hub.folder_of(hub_id) / "blobs" / f"{about.etag}.part" for _, about in large)
    wanted = missing_bytes - sum(part.stat().st_size for part in parts if part.is_file())
    existing = next(path for path in (hub.cache_dir, *hub.cache_dir.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if wanted + SPARE_BYTES > free:
        raise DiskFullError(
            f"{hub_id} needs {wanted / 1e9:.1f} GB more, and the disk that holds {hub.cache_dir} "
            f"has {free / 1e9:.1f} GB left.",
            "Free some space and resume it; what is there is kept.",
        )


if __name__ == "__main__":
    sys.exit(main())
