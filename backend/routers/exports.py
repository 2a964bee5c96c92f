"""Students written for other programs: what can be made, what was, and the way to the hub."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import StreamingResponse

from backend.exports.options import checkpoint_folder, read_options, stream_adapter
from backend.exports.reveal import reveal
from backend.exports.views import (
    NAME_PATTERN,
    REPOSITORY_PATTERN,
    ExportOptions,
    ExportView,
    ExportWish,
    PushPlan,
    PushWish,
)
from backend.routers.bundles import ZIP_BODY
from backend.routers.dependencies import Here, RunId, refusals
from backend.workbench import Bench

router = APIRouter(tags=["exports"])

ExportName = Annotated[str, Path(pattern=NAME_PATTERN)]
Step = Annotated[
    int | None, Query(ge=0, le=10**9, description="A checkpoint's step; else the best or last.")
]
Repository = Annotated[str, Query(pattern=REPOSITORY_PATTERN, description="owner/name")]


@router.get("/runs/{run_id}/export-options", responses=refusals(404))
def read_export_options(
    backend: Here, bench: Bench, run_id: RunId, checkpoint: Step = None
) -> ExportOptions:
    """Return the forms a checkpoint can be exported in, and its model card."""
    return read_options(backend, bench.hub, run_id, checkpoint, bench.playground.blocked())


@router.get(
    "/runs/{run_id}/adapter",
    response_class=StreamingResponse,
    responses={200: {"description": "The adapter.", **ZIP_BODY}, **refusals(404)},
)
def download_adapter(
    backend: Here, bench: Bench, run_id: RunId, checkpoint: Step = None
) -> StreamingResponse:
    """Send a checkpoint's adapter with its card as a zip file."""
    run = backend.existing(run_id)
    chosen = checkpoint_folder(run, checkpoint)
    name = f"{run_id}-adapter-{int(chosen.name)}.zip"
    return StreamingResponse(
        stream_adapter(bench.hub, run, chosen),
        media_type="application/zip",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.get("/exports")
def read_exports(bench: Bench) -> tuple[ExportView, ...]:
    """List exports with progress, the last started first."""
    return bench.exports.list()


@router.post("/exports", status_code=201, responses=refusals(404, 409, 507))
def start_export(bench: Bench, wish: ExportWish) -> ExportView:
    """Begin to write an export in a process of its own."""
    return bench.exports.start(wish, bench.playground.blocked())


@router.get("/exports/{name}", responses=refusals(404))
def read_export(bench: Bench, name: ExportName) -> ExportView:
    """Return an export as it stands."""
    return bench.exports.get(name)


@router.post("/exports/{name}/cancel", responses=refusals(404, 507))
def cancel_export(bench: Bench, name: ExportName) -> ExportView:
    """Stop writing or sending an export; again changes nothing."""
    return bench.exports.cancel(name)


@router.post("/exports/{name}/reveal", status_code=204, responses=refusals(404, 409))
def reveal_export(bench: Bench, name: ExportName) -> Response:
    """Show a finished export's folder in the system's file manager."""
    reveal(bench.exports.finished_folder(name))
    return Response(status_code=204)


@router.delete("/exports/{name}", status_code=204, responses=refusals(409))
def delete_export(bench: Bench, name: ExportName) -> Response:
    """Delete an export with its folder; again changes nothing."""
    bench.exports.delete(name)
    return Response(status_code=204)


@router.get("/exports/{name}/push-plan", responses=refusals(404, 409))
def plan_push(bench: Bench, name: ExportName, repository: Repository) -> PushPlan:
    """Dry run: return what a push would send, without asking the hub."""
    return bench.exports.plan_push(name, repository)


@router.post("/exports/{name}/push", responses=refusals(404, 409, 507))
def push_export(bench: Bench, name: ExportName, wish: PushWish) -> ExportView:
    """Begin to send an export to the hub, as its dry run showed it."""
    return bench.exports.push(name, wish)
