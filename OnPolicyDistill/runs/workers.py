"""What every process that works on a run is given, and how it is known afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping

import psutil

from OnPolicyDistill.runs.directory import Worker

SECRET_VARIABLES = ("OPD_TOKEN",)
# They make a program draw progress bars and colours into a file, as if it were a terminal.
TERMINAL_VARIABLES = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def worker_environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without secrets and terminals, and with `more`."""
    withheld = SECRET_VARIABLES + TERMINAL_VARIABLES
    environment = {key: value for key, value in os.environ.items() if key not in withheld}
    return {**environment, "PYTHONUNBUFFERED": "1", **more}


def identify(pid: int) -> Worker:
    """Name a process that was just started so that no later one is taken for it."""
    try:
        return Worker(pid=pid, started=psutil.Process(pid).create_time())
    except psutil.Error:
        return Worker(pid=pid, started=time.time())
