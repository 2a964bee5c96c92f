"""Downloads from the hub: start, watch, cancel, resume, forget."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import Field

from backend.downloads.record import DownloadRecord
from backend.history.views import View
from backend.problems import WrongFieldError
from backend.routers.dependencies import refusals
from backend.workbench import Bench
from OnPolicyDistill.registry import find_model

router = APIRouter(tags=["downloads"])

# As the hub has them: its cache writes -- where the slash was.
HUB_ID = re.compile(r"(?!.*(?:--|\.\.))[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)

DownloadId = Annotated[str, Path(pattern=r"^models--[A-Za-z0-9][A-Za-z0-9._-]{0,199}$")]


class Wanted(View):
    """A model to download."""

    model: str = Field(min_length=1, max_length=200, description="Registry alias or hub id.")


@router.get("/downloads")
def read_downloads(bench: Bench) -> tuple[DownloadRecord, ...]:
    """List downloads with progress, the last started first."""
    return bench.downloads.list()


@router.post("/downloads", status_code=201, responses=refusals(507))
def start_download(bench: Bench, wanted: Wanted) -> DownloadRecord:
    """Start or resume a download; one that runs goes on as it is."""
    return bench.downloads.start(_hub_id(wanted.model))


@router.get("/downloads/{download_id}", responses=refusals(404))
def read_download(bench: Bench, download_id: DownloadId) -> DownloadRecord:
    """Return a download as it stands."""
    return bench.downloads.get(download_id)


@router.post("/downloads/{download_id}/cancel", responses=refusals(404, 507))
def cancel_download(bench: Bench, download_id: DownloadId) -> DownloadRecord:
    """Stop a download and keep what is there; cancelling again changes nothing."""
    return bench.downloads.cancel(download_id)


@router.delete("/downloads/{download_id}", status_code=204, responses=refusals(409))
def forget_download(bench: Bench, download_id: DownloadId) -> Response:
    """Take a download off the list; the model stays. Again changes nothing."""
    bench.downloads.forget(download_id)
    return Response(status_code=204)


def _hub_id(name: str) -> str:
    known = find_model(name)
    hub_id = name if known is None else known.hub_id
    if hub_id is None:
        raise WrongFieldError("body.model", f"{name} is shipped with this program.")
    if not HUB_ID.fullmatch(hub_id):
        message = f"{name!r} is no alias and no hub id such as Qwen/Qwen2.5-7B-Instruct."
        raise WrongFieldError("body.model", message)
    return hub_id
