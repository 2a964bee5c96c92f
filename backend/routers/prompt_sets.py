"""Sets of prompts, conversations and inputs: upload, register, lint, preview."""

from __future__ import annotations

import re
import secrets
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from backend.door.questions import LintQuestion
from backend.guard import Upload
from backend.history.views import View
from backend.paths import MAX_PATH_CHARACTERS, picked_file, probe
from backend.problems import RefusedError
from backend.prompt_sets.converting import convert_set, read_layout
from backend.prompt_sets.pictures import thumbnail_of
from backend.prompt_sets.separating import separate_set, split_set
from backend.prompt_sets.views import (
    ConversionRequest,
    ConvertedView,
    LayoutView,
    LookRequest,
    MadeApartView,
    PreviewPage,
    PromptSetView,
    Separation,
    Split,
)
from backend.routers.dependencies import Here, refusals
from backend.system.room import check_disk
from backend.workbench import Bench
from OnPolicyDistill.datasets.linter import LintReport
from OnPolicyDistill.datasets.picture_prompts import MAX_PICTURES
from OnPolicyDistill.files import disk_errors

router = APIRouter(tags=["prompt sets"])

MAX_UPLOAD_BYTES = 2_000_000_000
UPLOAD_TYPES = ("application/jsonl", "application/x-ndjson", "application/octet-stream")
PROMPT_SET_UPLOAD = Upload(re.compile(r"/api/prompt-sets/upload"), UPLOAD_TYPES, MAX_UPLOAD_BYTES)
UPLOAD_BODY = {
    "required": True,
    "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in UPLOAD_TYPES},
}
SET_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,119}$"

SetId = Annotated[str, Path(pattern=SET_ID_PATTERN)]
Name = Annotated[str, Field(min_length=1, max_length=120)]
ModelQuery = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=MAX_PATH_CHARACTERS,
        description="A model on this machine whose template and tokens are used.",
    ),
]


class Registration(View):
    """A file to remember where it is."""

    path: str = Field(min_length=1, max_length=MAX_PATH_CHARACTERS, description="Absolute.")
    name: Name | None = None


@router.get("/prompt-sets")
def read_sets(bench: Bench) -> tuple[PromptSetView, ...]:
    """List sets, the last added first and shipped ones at the end."""
    return bench.prompt_sets.list()


@router.post("/prompt-sets", status_code=201, responses=refusals(507))
def register_set(bench: Bench, registration: Registration) -> PromptSetView:
    """Remember a file where it is; registering it again changes nothing."""
    return bench.prompt_sets.register(picked_file(registration.path), registration.name)


@router.post(
    "/prompt-sets/upload",
    status_code=201,
    responses=refusals(507),
    openapi_extra={"requestBody": UPLOAD_BODY},
)
async def upload_set(
    backend: Here, bench: Bench, request: Request, name: Annotated[Name, Query()]
) -> PromptSetView:
    """Take a file into the workspace: JSON, tables, parquet or text, told by what it holds."""
    check_disk(backend.settings)
    file = backend.settings.scratch / f"{secrets.token_hex(8)}.jsonl"
    try:
        with disk_errors(file), file.open("xb") as sink:
            async for chunk in request.stream():
                sink.write(chunk)
        if file.stat().st_size == 0:
            raise RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, "empty_file", "The file is empty.")
        return await backend.in_thread(bench.prompt_sets.take_in, file, name)
    finally:
        file.unlink(missing_ok=True)


@router.post("/prompt-sets/looks", status_code=202, responses=refusals(404))
def begin_looks(bench: Bench, request: LookRequest) -> tuple[PromptSetView, ...]:
    """Have sets linted in the background; the list tells how far that is."""
    bench.prompt_sets.begin_looks(request.set_ids)
    return bench.prompt_sets.list()


@router.get("/prompt-sets/{set_id}", responses=refusals(404))
def read_set(bench: Bench, set_id: SetId) -> PromptSetView:
    """Return a set."""
    return bench.prompt_sets.get(set_id)


@router.delete("/prompt-sets/{set_id}", status_code=204, responses=refusals(404, 409))
def remove_set(
    bench: Bench,
    set_id: SetId,
    confirmed: Annotated[bool, Query(description="Although runs use the upload.")] = False,
) -> Response:
    """Forget a set; an uploaded file is deleted, a registered one stays where it is."""
    bench.prompt_sets.remove(set_id, confirmed)
    return Response(status_code=204)


@router.get("/prompt-sets/{set_id}/layout", responses=refusals(404))
def read_set_layout(bench: Bench, set_id: SetId) -> LayoutView:
    """Say what the lines of a set look like, and what they could be made into."""
    return read_layout(bench.prompt_sets.file_of(set_id))


@router.post("/prompt-sets/{set_id}/convert", status_code=201, responses=refusals(404, 507))
def convert_one(
    backend: Here, bench: Bench, set_id: SetId, request: ConversionRequest
) -> ConvertedView:
    """Make a new set of one in another form; every other key of a line is kept."""
    check_disk(backend.settings)
    return convert_set(backend, bench.prompt_sets, set_id, request)


@router.post("/prompt-sets/{set_id}/separate", status_code=201, responses=refusals(404, 507))
def separate_one(backend: Here, bench: Bench, set_id: SetId, request: Separation) -> MadeApartView:
    """Make a training set without the lines that a held-out set has; both stay as they are."""
    check_disk(backend.settings)
    return separate_set(backend, bench.prompt_sets, set_id, request)


@router.post("/prompt-sets/{set_id}/split", status_code=201, responses=refusals(404, 507))
def split_one(backend: Here, bench: Bench, set_id: SetId, request: Split) -> MadeApartView:
    """Make a training and a held-out set of one, drawn by a seed; it stays as it is."""
    check_disk(backend.settings)
    return split_set(backend, bench.prompt_sets, set_id, request)


@router.get("/prompt-sets/{set_id}/lint", responses=refusals(404))
def lint_set(
    bench: Bench,
    set_id: SetId,
    against: Annotated[
        str | None, Query(pattern=SET_ID_PATTERN, description="A set that should not overlap.")
    ] = None,
    model: ModelQuery = None,
    max_prompt_tokens: Annotated[int, Query(ge=1, le=131_072)] = 2048,
) -> LintReport:
    """Check a set line by line: problems, duplicates, leakage, lengths in tokens or characters."""
    found = bench.prompt_sets.get(set_id)
    file = bench.prompt_sets.file_of(set_id)
    other = None if against is None else bench.prompt_sets.file_of(against)
    if model is not None:
        probe(model)
    question = LintQuestion(
        file=file,
        set_kind=found.kind,
        other=other,
        folder=bench.linter.folder_of(model),
        max_prompt_tokens=max_prompt_tokens,
    )
    report = bench.linter.lint(question)
    if question == LintQuestion(file=file, set_kind=found.kind):
        bench.looks.keep(file, found.kind, report)
    return report


@router.get("/prompt-sets/{set_id}/preview", responses=refusals(404))
def preview_set(
    bench: Bench,
    set_id: SetId,
    model: ModelQuery = None,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> PreviewPage:
    """Show lines of a set, with a model also as it would see them, token by token."""
    found = bench.prompt_sets.get(set_id)
    if model is not None:
        probe(model)
    file = bench.prompt_sets.file_of(set_id)
    return bench.linter.preview(file, found.kind, model, offset, limit)


@router.get(
    "/prompt-sets/{set_id}/pictures/{line}/{number}.png",
    response_class=Response,
    responses={
        200: {"content": {"image/png": {}}, "description": "At most 256 pixels a side."},
        **refusals(404),
    },
)
def read_picture(
    bench: Bench,
    set_id: SetId,
    line: Annotated[int, Path(ge=1, le=10**9)],
    number: Annotated[int, Path(ge=1, le=MAX_PICTURES)],
) -> Response:
    """Send a small copy of a picture that a line names, drawn anew."""
    kind = bench.prompt_sets.get(set_id).kind
    small = thumbnail_of(bench.prompt_sets.file_of(set_id), kind, line, number)
    return Response(small, media_type="image/png", headers={"cache-control": "no-store"})
