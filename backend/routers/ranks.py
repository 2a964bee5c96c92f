"""The processes that work on a run together."""

from __future__ import annotations

from fastapi import APIRouter

from backend.ranks import ShownRanks, show_ranks
from backend.routers.dependencies import Here, RunId, refusals

router = APIRouter(tags=["runs"])


@router.get("/runs/{run_id}/ranks", responses=refusals(404, 409))
def read_ranks(backend: Here, run_id: RunId) -> ShownRanks:
    """Return a run's ranks: rows, tokens, seconds and memory of the last step, alive or lost."""
    return show_ranks(backend.settings.workspace, backend.existing(run_id))
