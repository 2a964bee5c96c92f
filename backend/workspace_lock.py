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
                f"The workspace {settings.workspace} is served already{_holder(lock.read())}.",
                "Open that page, stop it there with Ctrl-C, or choose another workspace with "
                "--workspace.",
            ) from None
        lock.truncate(0)
        lock.write(json.dumps({"pid": os.getpid(), "port": settings.port}))
        lock.flush()
        yield


def _holder(written: str) -> str:
    """Where and by which process, as far as that was written yet."""
    try:
        told = json.loads(written)
        return f" at http://127.0.0.1:{int(told['port'])} (process {int(told['pid'])})"
    except (ValueError, KeyError, TypeError):
        return ""
