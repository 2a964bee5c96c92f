"""What lies in a run's folder: rollouts and their pictures, checkpoints, log, artifacts."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import FileResponse

from backend.before_after import BeforeAfter, before_after_of
from backend.folder import (
    ARTIFACT_PATTERN,
    Artifact,
    Checkpoint,
    LogPart,
    RolloutPage,
    artifact_file,
    list_artifacts,
    read_checkpoints,
    read_log,
    read_rollouts,
    rollout_at,
)
from backend.guard import NEVER_CHANGES
from backend.history.views import View
from backend.pictures import picture_of_run
from backend.routers.dependencies import Here, RunId, refusals
from OnPolicyDistill.runs.events import PICTURE_DIGEST_PATTERN, RolloutRecord

router = APIRouter(tags=["files"])

Position = Annotated[int, Query(ge=0, le=2**53)]


class Checkpoints(View):
    """Checkpoints, oldest first."""

    checkpoints: tuple[Checkpoint, ...]


class Artifacts(View):
    """Files that a run made for people."""

    artifacts: tuple[Artifact, ...]


@router.get("/runs/{run_id}/rollouts", responses=refusals(404, 409))
def page_rollouts(
    backend: Here,
    run_id: RunId,
    offset: Position = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    newest_first: bool = False,
) -> RolloutPage:
    """Return rollouts with per-token divergence; `offset` counts from the chosen end."""
    return read_rollouts(backend.rollouts(run_id), offset, limit, newest_first)


@router.get("/runs/{run_id}/rollouts/{position}", responses=refusals(404, 409))
def read_rollout(
    backend: Here,
    run_id: RunId,
    position: Annotated[int, Path(ge=0, le=2**53, description="`offset` of a rollout_sampled.")],
) -> RolloutRecord:
    """Return the rollout that an event points at by its byte offset."""
    return rollout_at(backend.rollouts(run_id), position)


@router.get(
    "/runs/{run_id}/pictures/{digest}",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}}, "description": "A small copy of the picture."},
        **refusals(404),
    },
)
def read_run_picture(
    backend: Here, run_id: RunId, digest: Annotated[str, Path(pattern=PICTURE_DIGEST_PATTERN)]
) -> Response:
    """Send the small copy of a picture that a rollout names; one digest is one picture for ever."""
    found = picture_of_run(backend.existing(run_id), digest)
    return Response(found, media_type="image/png", headers={"cache-control": NEVER_CHANGES})


@router.get("/runs/{run_id}/checkpoints", responses=refusals(404))
def page_checkpoints(backend: Here, run_id: RunId) -> Checkpoints:
    """List checkpoints."""
    return Checkpoints(checkpoints=read_checkpoints(backend.log(run_id)))


@router.get("/runs/{run_id}/before-after", responses=refusals(404))
def read_before_after(backend: Here, run_id: RunId) -> BeforeAfter:
    """Return what the student wrote to the first held-out prompts before it learned and after."""
    return before_after_of(backend.existing(run_id), backend.summary(run_id).headline_step)


@router.get("/runs/{run_id}/log", responses=refusals(404))
def page_log(
    backend: Here,
    run_id: RunId,
    start: Annotated[
        int | None, Query(alias="from", ge=0, le=2**53, description="Byte; none is the tail.")
    ] = None,
    max_bytes: Annotated[int, Query(ge=1, le=1_000_000)] = 65_536,
) -> LogPart:
    """Return a part of the worker's output: the tail, or from a byte on."""
    return read_log(backend.existing(run_id), start, max_bytes)


@router.get("/runs/{run_id}/artifacts", responses=refusals(404))
def page_artifacts(backend: Here, run_id: RunId) -> Artifacts:
    """List the files that a run made for people: reports, plots, tables."""
    return Artifacts(artifacts=list_artifacts(backend.existing(run_id)))


@router.get(
    "/runs/{run_id}/artifacts/{name}",
    response_class=FileResponse,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The file."},
        **refusals(404),
    },
)
def read_artifact(
    backend: Here, run_id: RunId, name: Annotated[str, Path(pattern=ARTIFACT_PATTERN)]
) -> FileResponse:
    """Send one of the listed artifacts."""
    file = artifact_file(backend.existing(run_id), name)
    return FileResponse(file, filename=name, media_type="application/octet-stream")
