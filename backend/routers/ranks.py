"""The processes that work on a run together."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from backend.history.views import View
from backend.ranks import ShownHosts, ShownRanks, show_hosts, show_ranks
from backend.routers.dependencies import Here, RunId, refusals

router = APIRouter(tags=["runs"])


class HostsFile(View):
    """A file of hosts on this machine."""

    path: str = Field(min_length=1, max_length=4096)


@router.post("/hosts")
def read_hosts(backend: Here, file: HostsFile) -> ShownHosts:
    """Return the hosts that a file names, to be confirmed; none of them is asked anything."""
    return show_hosts(backend.settings, file.path)


@router.get("/runs/{run_id}/ranks", responses=refusals(404, 409))
def read_ranks(backend: Here, run_id: RunId) -> ShownRanks:
    """Return a run's ranks: rows, tokens, seconds and memory of the last step, alive or lost."""
    return show_ranks(backend.settings.workspace, backend.existing(run_id))
