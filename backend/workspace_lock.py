"""One backend a workspace: two supervisors would both believe that the GPU slot is theirs."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from backend.settings import BackendSettings
from OnPolicyDistill.errors import RunError

LOCK_FILE = "backend.lock"


@contextmanager
def workspace_lock(settings: BackendSettings) -> Iterator[None]:
    """Hold the workspace while the block runs.

    Raises:
        RunError: another backend holds it; says which.
    """
    with (settings.workspace / LOCK_FILE).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise RunError(
                f"Another backend serves {settings.workspace} already ({lock.read().strip()}).",
                "Open that one, stop it, or choose another workspace with --workspace.",
            ) from None
        lock.truncate(0)
        lock.write(json.dumps({"pid": os.getpid(), "port": settings.port}))
        lock.flush()
        yield
