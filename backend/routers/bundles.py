"""Runs as zip files, out and in."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from backend.bundles.incoming import take_in
from backend.bundles.outgoing import Choice, stream_bundle
from backend.history.views import RunSummary
from backend.problems import RefusedError
from backend.routers.dependencies import Here, RunId, refusals
from backend.system.room import check_disk
from OnPolicyDistill.files import disk_errors

router = APIRouter(tags=["bundles"])

ZIP_BODY = {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}


@router.get(
    "/runs/{run_id}/bundle",
    response_class=StreamingResponse,
    responses={200: {"description": "The run's folder.", **ZIP_BODY}, **refusals(404)},
)
def export(
    backend: Here, run_id: RunId, checkpoints: Annotated[Choice, Query()] = "all"
) -> StreamingResponse:
    """Send a run's folder as a zip file."""
    run = backend.existing(run_id)
    return StreamingResponse(
        stream_bundle(run, checkpoints),
        media_type="application/zip",
        headers={"content-disposition": f'attachment; filename="{run_id}.zip"'},
    )


@router.post(
    "/bundles",
    status_code=201,
    responses=refusals(409, 507),
    openapi_extra={"requestBody": {"required": True, **ZIP_BODY}},
)
async def take_bundle_in(backend: Here, request: Request) -> RunSummary:
    """Take a run's zip file in; a run that is here already is not replaced."""
    check_disk(backend.settings)
    file = backend.settings.scratch / f"{secrets.token_hex(8)}.zip"
    try:
        with disk_errors(file), file.open("xb") as sink:
            async for chunk in request.stream():
                sink.write(chunk)
        if file.stat().st_size == 0:
            raise RefusedError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_bundle", "The body is empty."
            )
        run = await backend.in_thread(take_in, backend.settings, file)
    finally:
        file.unlink(missing_ok=True)
    return await backend.in_thread(backend.changed, run.run_id)
