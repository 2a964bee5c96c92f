"""Small copies of pictures that a run's rollouts show: its own files, and PNG only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from backend.problems import NotFoundError
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.directory import RunDirectory

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# 256 x 256 pixels in four channels are 262,144 bytes before they are packed.
MAX_BYTES = 1_000_000
# A bundle may bring files of any content: what is no plain file, or no PNG, is as if it were away.
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK


def picture_of_run(run: RunDirectory, digest: str) -> bytes:
    """Return a small copy by the digest that a rollout names.

    Raises:
        NotFoundError: the run has none, or what lies there is a link, too large or no PNG.
    """
    found = _read_own(run.pictures, f"{digest}.png")
    if found is None or not found.startswith(PNG_SIGNATURE):
        raise NotFoundError(f"Run {called(run)} keeps no copy of the picture {digest}.")
    return found


def _read_own(folder: Path, name: str) -> bytes | None:
    """Read a small regular file of a folder; neither may be a link."""
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            return None
        descriptor = os.open(folder / name, _FLAGS)
    except OSError:
        return None
    with open(descriptor, "rb") as stream:  # noqa: PTH123  # a descriptor, not a path
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_BYTES:
            return None
        return stream.read(MAX_BYTES)
