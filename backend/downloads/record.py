"""A download as it stands in a file that its process writes and everybody reads."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from backend.history.views import View
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, write_text_atomically
from OnPolicyDistill.runs.directory import Worker

DownloadState = Literal["running", "finished", "failed", "cancelled", "interrupted"]


class DownloadRecord(View):
    """A download; bytes count weights and all other files of the model."""

    id: str
    hub_id: str
    cache_dir: str
    endpoint: str | None = None
    state: DownloadState
    created: float
    updated: float
    total_bytes: int | None = Field(None, description="Null until the hub has said.")
    done_bytes: int = 0
    bytes_per_second: float | None = None
    eta_seconds: float | None = None
    path: str | None = Field(None, description="The model's folder, once it is complete.")
    message: str = Field("", description="Why it failed.")
    action: str = Field("", description="What can be done.")
    worker: Worker | None = None


def read_record(file: Path) -> DownloadRecord | None:
    """Read a download; None where there is none or it is damaged."""
    try:
        return DownloadRecord.model_validate_json(read_plain(file))
    except (FileNotFoundError, RunError, ValidationError):
        return None


def write_record(file: Path, record: DownloadRecord) -> None:
    """Write a download so that a reader sees the old or the new one."""
    write_text_atomically(file, record.model_dump_json(indent=1))


def as_it_is(record: DownloadRecord) -> DownloadRecord:
    """Return a download whose process died without a word as interrupted."""
    if record.state != "running" or (record.worker is not None and record.worker.is_alive()):
        return record
    return record.model_copy(
        update={
            "state": "interrupted",
            "bytes_per_second": None,
            "eta_seconds": None,
            "action": "Resume it; what is there is kept.",
        }
    )
