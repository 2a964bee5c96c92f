"""Shows a folder in the system's file manager."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from backend.problems import ConflictError


def reveal(folder: Path) -> None:
    """Open a folder for the person at this machine.

    Raises:
        ConflictError: this system has no way to do it.
    """
    program = "open" if sys.platform == "darwin" else "xdg-open"
    if shutil.which(program) is None:
        raise ConflictError("This system has no file manager to show it in.", f"It is in {folder}.")
    subprocess.Popen(
        [program, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
