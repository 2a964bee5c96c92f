"""What a run must leave free, as the user has set it: WORKSPACE/reserves.json."""

from __future__ import annotations

from pydantic import Field, ValidationError

from backend.history.views import View
from backend.settings import BackendSettings
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import disk_errors, read_plain, write_text_atomically

RESERVES_FILE = "reserves.json"


class Reserves(View):
    """GB of 1e9 bytes that stay free: below them no run starts, and one at work is paused."""

    memory_gb: float = Field(ge=0, le=1e9, description="Memory that stays available.")
    disk_gb: float = Field(ge=0, le=1e9, description="Room on the workspace's disk.")


def load_reserves(settings: BackendSettings) -> Reserves:
    """Return what the user has set, else the defaults; a damaged file counts as none."""
    try:
        return Reserves.model_validate_json(read_plain(settings.workspace / RESERVES_FILE))
    except (FileNotFoundError, RunError, ValidationError):
        return Reserves(memory_gb=settings.min_free_memory_gb, disk_gb=settings.min_free_disk_gb)


def save_reserves(settings: BackendSettings, reserves: Reserves) -> None:
    """Keep what the user has set.

    Raises:
        DiskFullError: there is no room for it.
    """
    file = settings.workspace / RESERVES_FILE
    with disk_errors(file):
        write_text_atomically(file, reserves.model_dump_json())
