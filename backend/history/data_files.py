"""The files that a run's first event names, with what they held then."""

from __future__ import annotations

from pydantic import ValidationError

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import open_plain
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import DataFile, RunStarted

MAX_EVENT_BYTES = 100_000


def data_files_of(run: RunDirectory) -> tuple[DataFile, ...]:
    """Return them; nothing where it has not begun, or an earlier version did not say it."""
    try:
        with open_plain(run.events_file) as stream:
            return RunStarted.model_validate_json(stream.readline(MAX_EVENT_BYTES)).files
    except (OSError, RunError, ValidationError):
        return ()
