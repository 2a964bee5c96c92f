"""Pipelines: make, list, read, begin, pause, and the files of their tables."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse

from backend.pipelines.views import (
    PipelineCreation,
    PipelineDetail,
    PipelineList,
    PipelineStart,
    ShippedPipeline,
    TableFile,
)
from backend.routers.dependencies import NAME_PATTERN, refusals
from backend.workbench import Bench
from OnPolicyDistill.pipelines.status import PipelineStatus

router = APIRouter(tags=["pipelines"])

PipelineId = Annotated[str, Path(pattern=NAME_PATTERN, description="The pipeline's folder name.")]


@router.get("/shipped-pipelines")
def read_shipped(bench: Bench) -> tuple[ShippedPipeline, ...]:
    """List the pipelines that are shipped, as files to start from."""
    return bench.pipelines.shipped()


@router.get("/pipelines")
def list_pipelines(bench: Bench) -> PipelineList:
    """List pipelines with their stages, newest first."""
    return bench.pipelines.list()


@router.post("/pipelines", status_code=201, responses=refusals(409, 507))
def create(bench: Bench, creation: PipelineCreation) -> PipelineStatus:
    """Make a pipeline from the text of its file, and begin it."""
    return bench.pipelines.create(creation)


@router.get("/pipelines/{pipeline_id}", responses=refusals(404, 409))
def read(bench: Bench, pipeline_id: PipelineId) -> PipelineDetail:
    """Return a pipeline with its stages, their runs and, once it is finished, its table."""
    return bench.pipelines.detail(pipeline_id)


@router.post("/pipelines/{pipeline_id}/start", responses=refusals(404, 409, 507))
def start(bench: Bench, pipeline_id: PipelineId, wish: PipelineStart) -> PipelineStatus:
    """Begin a pipeline, or go on with one that was paused, killed, or failed in a stage."""
    return bench.pipelines.start(pipeline_id, wish.anyway)


@router.post("/pipelines/{pipeline_id}/pause", responses=refusals(404, 409))
def pause(bench: Bench, pipeline_id: PipelineId) -> PipelineStatus:
    """Ask a pipeline to pause with the stage that is at work."""
    return bench.pipelines.pause(pipeline_id)


@router.get(
    "/pipelines/{pipeline_id}/files/{name}",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The file."},
        **refusals(404),
    },
)
def read_file(bench: Bench, pipeline_id: PipelineId, name: TableFile) -> FileResponse:
    """Send the final table as CSV, JSON, text or picture."""
    file = bench.pipelines.file(pipeline_id, name)
    return FileResponse(file, filename=name, media_type="application/octet-stream")
