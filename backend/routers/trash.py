"""Deleting runs, with undo."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backend.history.views import RunSummary
from backend.routers.dependencies import Here, RunId, refusals
from backend.runs import TrashedRun, delete_run, list_trash, purge_run, restore_run

router = APIRouter(tags=["trash"])


@router.delete("/runs/{run_id}", status_code=204, responses=refusals(404, 409))
def delete(backend: Here, run_id: RunId) -> Response:
    """Move a run to the trash; deleting it again changes nothing."""
    delete_run(backend, run_id)
    return Response(status_code=204)


@router.get("/trash")
def read_trash(backend: Here) -> tuple[TrashedRun, ...]:
    """List deleted runs, the last deleted first."""
    return list_trash(backend)


@router.post("/trash/{run_id}/restore", responses=refusals(404))
def restore(backend: Here, run_id: RunId) -> RunSummary:
    """Undo a delete; restoring again changes nothing."""
    restore_run(backend, run_id)
    return backend.changed(run_id)


@router.delete("/trash/{run_id}", status_code=204)
def purge(backend: Here, run_id: RunId) -> Response:
    """Remove a deleted run for good; purging again changes nothing."""
    purge_run(backend, run_id)
    return Response(status_code=204)
