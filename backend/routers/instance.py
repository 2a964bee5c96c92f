"""Whether a backend is there, which one it is, and how to end it."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from backend.history.views import View
from backend.routers.dependencies import Here
from backend.workbench import Bench

router = APIRouter(tags=["instance"])


class Health(View):
    """Something answers."""

    status: Literal["ok"] = "ok"


class Instance(View):
    """Which backend this is."""

    instance: str
    pid: int
    version: str
    workspace: str
    downloads: str = Field(description="Folder of what was downloaded from the hub.")


class Shutdown(View):
    """What becomes of a run at work when the backend ends."""

    runs: Literal["keep", "pause"] = "keep"


@router.get("/health")
def read_health() -> Health:
    """Answer without a token, and tell nothing."""
    return Health()


@router.get("/instance")
def read_instance(backend: Here, bench: Bench) -> Instance:
    """Return which backend answers."""
    return Instance(
        instance=backend.settings.instance,
        pid=os.getpid(),
        version=version("onpolicydistill"),
        workspace=str(backend.settings.workspace),
        downloads=str(bench.library.hub.cache_dir),
    )


@router.post("/shutdown", status_code=202)
def shut_down(backend: Here, wish: Shutdown) -> Health:
    """End this backend; runs go on by themselves, or are paused first."""
    active = backend.supervisor.slot.active
    if wish.runs == "pause" and active is not None:
        backend.supervisor.wish(active.run_id, "pause")
    backend.ask_to_stop()
    return Health()
