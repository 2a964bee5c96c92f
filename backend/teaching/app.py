"""The application: vLLM's request, what it is that teaches, and its vocabulary head."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from pydantic import JsonValue

from backend.problems import RefusedError, install_problem_handlers
from backend.teaching.asked import CompletionRequest, Limits, admitted
from backend.teaching.desk import Desk, FullError
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.teacher.reached import ABOUT_PATH, HEAD_PATH, ServedTeacher

PAUSE_SECONDS = 1


def create_app(desk: Desk, about: ServedTeacher, head_file: Path) -> FastAPI:
    """Make the application over a desk that is open."""
    app = FastAPI(title="A served teacher", docs_url=None, redoc_url=None, openapi_url=None)
    install_problem_handlers(app)
    limits = Limits(about.vocab_size, about.max_row_tokens)

    @app.get(ABOUT_PATH)
    def read_about() -> ServedTeacher:
        """Say what teaches."""
        return about

    @app.get(HEAD_PATH)
    def read_head() -> FileResponse:
        """Hand over the vocabulary head, behind which hidden states are exact."""
        return FileResponse(head_file, media_type="application/octet-stream")

    @app.get("/v1/models")
    def list_models() -> dict[str, JsonValue]:
        """List the one model, as vLLM does."""
        model: dict[str, JsonValue] = {
            "id": about.name,
            "object": "model",
            "owned_by": "OnPolicyDistill",
            "max_model_len": about.max_row_tokens,
        }
        return {"object": "list", "data": [model]}

    @app.post("/v1/completions")
    async def complete(request: CompletionRequest) -> Response:
        """Score the tokens of a prompt."""
        _refuse_another(request, about)
        try:
            future = desk.put(admitted(request, limits))
        except FullError:
            return _busy()
        except InputError as error:
            raise RefusedError(
                HTTPStatus.BAD_REQUEST, "invalid_request", error.message, error.action
            ) from error
        choices = await asyncio.wrap_future(future)
        num_tokens = sum(map(len, request.rows))
        body = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": about.name,
            "choices": choices,
            "usage": {"prompt_tokens": num_tokens, "total_tokens": num_tokens + len(choices)},
        }
        content = await asyncio.to_thread(json.dumps, body, separators=(",", ":"))
        return Response(content, media_type="application/json")

    return app


def _refuse_another(request: CompletionRequest, about: ServedTeacher) -> None:
    if request.model != about.name:
        raise RefusedError(
            HTTPStatus.NOT_FOUND,
            "no_such_model",
            f"The model {request.model} is not served here.",
            f"Ask for {about.name}.",
        )
    if request.distill is not None and request.distill.teacher != about.fingerprint:
        raise RefusedError(
            HTTPStatus.CONFLICT,
            "another_teacher",
            "Another teacher is served here now than when the run began.",
            "Serve the one that the run began with, or start a new run.",
        )


def _busy() -> Response:
    """Too many requests wait: come again."""
    return Response(
        status_code=HTTPStatus.TOO_MANY_REQUESTS, headers={"retry-after": str(PAUSE_SECONDS)}
    )
