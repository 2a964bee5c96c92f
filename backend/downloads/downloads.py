"""Starts, resumes, cancels and lists downloads; their files say how far each one is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from threading import Lock

import psutil

from backend.downloads.record import DownloadRecord, as_it_is, read_record, write_record
from backend.downloads.worker import SPARE_BYTES
from backend.models.known import expected_bytes
from backend.models.local import disk_bytes
from backend.models.place import Hub, cache_name
from backend.problems import ConflictError, NotFoundError
from backend.settings import BackendSettings
from backend.supervisor.ending import end
from OnPolicyDistill.errors import DiskFullError
from OnPolicyDistill.files import make_private
from OnPolicyDistill.runs.directory import Worker
from OnPolicyDistill.runs.workers import SECRET_VARIABLES

MODULE = "backend.downloads.worker"


class Downloads:
    """Methods may be called from any thread."""

    def __init__(self, settings: BackendSettings, hub: Hub) -> None:
        self.hub = hub
        self._folder = settings.workspace / "downloads"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = Lock()

    def list(self) -> tuple[DownloadRecord, ...]:
        """Return every download, the last started first."""
        if not self._folder.is_dir():
            return ()
        found = (self._current(file.stem) for file in self._folder.glob("*.json"))
        records = [record for record in found if record is not None]
        return tuple(sorted(records, key=lambda record: record.created, reverse=True))

    def get(self, download_id: str) -> DownloadRecord:
        """Return a download as it stands.

        Raises:
            NotFoundError: there is none.
        """
        record = self._current(download_id)
        if record is None:
            raise NotFoundError(f"There is no download {download_id}.")
        return record

    def start(self, hub_id: str) -> DownloadRecord:
        """Start or resume the download of a model; one that runs goes on as it is.

        Raises:
            DiskFullError: the disk has no room for it, as far as its size is known.
        """
        with self._lock:
            before = self._current(cache_name(hub_id))
            if before is not None and before.state == "running":
                return before
            self._check_room(hub_id)
            now = time.time()
            record = DownloadRecord(
                id=cache_name(hub_id),
                hub_id=hub_id,
                cache_dir=str(self.hub.cache_dir),
                endpoint=self.hub.endpoint,
                state="running",
                created=now,
                updated=now,
                total_bytes=None if before is None else before.total_bytes,
                done_bytes=0 if before is None else before.done_bytes,
            )
            return self._launch(record)

    def cancel(self, download_id: str) -> DownloadRecord:
        """End a download's process; what is there is kept. Cancelling again changes nothing.

        Raises:
            NotFoundError: there is none.
        """
        with self._lock:
            record = self.get(download_id)
            if record.state != "running" or record.worker is None:
                return record
            end(record.worker)
            ended = self.get(download_id)
            if ended.state == "finished":
                return ended
            cancelled = ended.model_copy(
                update={"state": "cancelled", "action": "Resume it; what is there is kept."}
            )
            write_record(self._file(download_id), cancelled)
            return cancelled

    def forget(self, download_id: str) -> None:
        """Remove a download from the list; what it brought stays.

        Raises:
            ConflictError: it runs.
        """
        with self._lock:
            record = self._current(download_id)
            if record is not None and record.state == "running":
                raise ConflictError(f"{record.hub_id} is being downloaded.", "Cancel it first.")
            self._file(download_id).unlink(missing_ok=True)
            self._log(download_id).unlink(missing_ok=True)

    def is_running(self, download_id: str) -> bool:
        """Whether a process works on a download."""
        record = self._current(download_id)
        return record is not None and record.state == "running"

    def _launch(self, record: DownloadRecord) -> DownloadRecord:
        before = self._processes.pop(record.id, None)
        if before is not None:
            before.wait()  # it has said its last word and is on its way out
        make_private(self._folder)
        file = self._file(record.id)
        write_record(file, record)
        environment = {key: text for key, text in os.environ.items() if key not in SECRET_VARIABLES}
        with self._log(record.id).open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", MODULE, str(file)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment, "HF_HUB_DISABLE_TELEMETRY": "1"},
                start_new_session=True,
            )
        self._processes[record.id] = process
        # The process waits for its name in the record, so that nobody writes over the other.
        noted = record.model_copy(update={"worker": _identify(process.pid)})
        write_record(file, noted)
        return noted

    def _current(self, download_id: str) -> DownloadRecord | None:
        process = self._processes.get(download_id)
        if process is not None and process.poll() is not None:
            self._processes.pop(download_id, None)
        record = read_record(self._file(download_id))
        return None if record is None else as_it_is(record)

    def _check_room(self, hub_id: str) -> None:
        expected = expected_bytes(hub_id)
        if expected is None:
            return
        wanted = expected - disk_bytes(self.hub.folder_of(hub_id))
        existing = next(p for p in (self.hub.cache_dir, *self.hub.cache_dir.parents) if p.exists())
        free = shutil.disk_usage(existing).free
        if wanted + SPARE_BYTES > free:
            raise DiskFullError(
                f"{hub_id} needs about {wanted / 1e9:.1f} GB, and the disk that holds "
                f"{self.hub.cache_dir} has {free / 1e9:.1f} GB left.",
                "Free some space, or choose a quantized form.",
            )

    def _file(self, download_id: str) -> Path:
        return self._folder / f"{download_id}.json"

    def _log(self, download_id: str) -> Path:
        return self._folder / f"{download_id}.log"


def _identify(pid: int) -> Worker | None:
    try:
        return Worker(pid=pid, started=psutil.Process(pid).create_time())
    except psutil.Error:
        return None
