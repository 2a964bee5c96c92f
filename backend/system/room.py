"""Whether there is disk and memory enough to start a run, or to go on with one."""

from __future__ import annotations

import psutil

from backend.settings import BackendSettings
from backend.system.reserves import load_reserves
from OnPolicyDistill.errors import DiskFullError, MemoryInUseError, RunError
from OnPolicyDistill.planning.free_memory import find_shortage


class LowMemoryError(RunError):
    """The machine has no memory to spare."""

    code = "low_memory"


def check_disk(settings: BackendSettings) -> None:
    """Raise DiskFullError when the workspace's disk is nearly full."""
    reserve_gb = load_reserves(settings).disk_gb
    free_gb = psutil.disk_usage(str(settings.workspace)).free / 1e9
    if free_gb < reserve_gb:
        raise DiskFullError(
            f"The disk that holds {settings.workspace} has {free_gb:.1f} GB left; checkpoints need "
            f"at least {reserve_gb:g} GB.",
            "Free some space, for example by emptying the trash of runs, or set the reserve lower.",
        )


def check_memory(settings: BackendSettings) -> None:
    """Raise LowMemoryError when the machine is about to run out of memory."""
    reserve_gb = load_reserves(settings).memory_gb
    available_gb = psutil.virtual_memory().available / 1e9
    if available_gb < reserve_gb:
        raise LowMemoryError(
            f"This machine has {available_gb:.1f} GB of memory left; {reserve_gb:g} GB are to stay "
            "free beside a run.",
            "Close other programs, or set the reserve lower.",
        )


def check_forecast(needed_gb: float | None) -> None:
    """Raise MemoryInUseError when a run needs more than is free now; unknown needs pass."""
    shortage = find_shortage(needed_gb)
    if shortage is not None:
        raise MemoryInUseError(shortage.message, "Close what holds it, or start the run anyway.")
