"""Whether there is disk and memory enough to start a run, or to go on with one."""

from __future__ import annotations

import psutil

from backend.settings import BackendSettings
from OnPolicyDistill.errors import DiskFullError, RunError


class LowMemoryError(RunError):
    """The machine has no memory to spare."""

    code = "low_memory"


def check_disk(settings: BackendSettings) -> None:
    """Raise DiskFullError when the workspace's disk is nearly full."""
    free_gb = psutil.disk_usage(str(settings.workspace)).free / 1e9
    if free_gb < settings.min_free_disk_gb:
        raise DiskFullError(
            f"The disk that holds {settings.workspace} has {free_gb:.1f} GB left; checkpoints need "
            f"at least {settings.min_free_disk_gb:g} GB.",
            "Free some space, for example by emptying the trash of runs.",
        )


def check_memory(settings: BackendSettings) -> None:
    """Raise LowMemoryError when the machine is about to run out of memory."""
    available_gb = psutil.virtual_memory().available / 1e9
    if available_gb < settings.min_free_memory_gb:
        raise LowMemoryError(
            f"This machine has {available_gb:.1f} GB of memory left; a run needs at least "
            f"{settings.min_free_memory_gb:g} GB.",
            "Close other programs, or pause what else is running.",
        )
