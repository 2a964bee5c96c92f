"""Students and local models for programs that speak OpenAI's form."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from backend.backend import Backend
from backend.routers.dependencies import Here, Responses
from backend.v1.answers import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatWriter,
    TextCompletion,
    TextWriter,
    Writer,
    told_in_pieces,
    told_whole,
)
from backend.v1.asked import ChatRequest, CompletionRequest, question_of
from backend.v1.errors import OpenAIError
from backend.v1.names import ModelEntry, ModelPage, entries, named
from backend.v1.reply import ClientGoneError, Reply, unless_gone
from backend.workbench import Bench, Workbench

router = APIRouter(tags=["models for other programs"])

EVENT_STREAM = "text/event-stream"
CLIENT_CLOSED = 499  # nginx's; nobody is there to read it
_REASONS = {
    404: "No run and no model is called that.",
    409: "A run has the GPU, or the model does not fit into memory.",
    429: "Too many requests wait already; come again.",
    503: "The answer was ended, since a run has started or the program ends.",
}


def _faults(*statuses: int) -> Responses:
    return {status: {"description": _REASONS[status], "model": OpenAIError} for status in statuses}


def _stream_of(chunk: str) -> Responses:
    """Document the second form of an answer: server-sent events, the last of them `[DONE]`."""
    schema = {"$ref": f"#/components/schemas/{chunk}"}
    return {
        200: {
            "description": "The answer; where `stream` is set, in pieces.",
            "content": {EVENT_STREAM: {"itemSchema": schema}},
        }
    }


@router.get("/models")
def list_served(backend: Here, bench: Bench) -> ModelPage:
    """List the students of runs, the newest first, and all local models."""
    return ModelPage(data=entries(backend, bench.library))


@router.get("/models/{name:path}", responses=_faults(404))
def read_served(backend: Here, bench: Bench, name: str) -> ModelEntry:
    """Return one of them by its name."""
    for entry in entries(backend, bench.library):
        if entry.id == name:
            return entry
    found = named(backend, bench.library, name)
    if found.run_id is None:
        return ModelEntry(id=name, created=0, owned_by="model")
    created = int(backend.summary(found.run_id).created)
    return ModelEntry(id=name, created=created, owned_by=found.run_id)


@router.post(
    "/chat/completions",
    response_model=ChatCompletion,
    responses=_faults(404, 409, 429, 503) | _stream_of(ChatCompletionChunk.__name__),
)
async def chat(backend: Here, bench: Bench, request: Request, asked: ChatRequest) -> Response:
    """Answer a conversation as a run's student or a local model, whole or piece by piece.

    Closing the connection stops the work. While a run trains it is refused, as the playground is.
    """
    return await _answer(backend, bench, request, asked, ChatWriter(asked.model))


@router.post(
    "/completions",
    response_model=TextCompletion,
    responses=_faults(404, 409, 429, 503) | _stream_of(TextCompletion.__name__),
)
async def complete(
    backend: Here, bench: Bench, request: Request, asked: CompletionRequest
) -> Response:
    """Continue a text as it stands, without a chat template, whole or piece by piece."""
    return await _answer(backend, bench, request, asked, TextWriter(asked.model))


async def _answer(
    backend: Backend,
    bench: Workbench,
    request: Request,
    asked: ChatRequest | CompletionRequest,
    writer: Writer,
) -> Response:
    found = await backend.in_thread(named, backend, bench.library, asked.model)
    question = question_of(asked, found)
    try:
        reply = await unless_gone(request, Reply.begun(bench.playground, question, asked.stops))
        if asked.stream:
            events = told_in_pieces(reply, writer, asked.tells_usage)
            return StreamingResponse(events, media_type=EVENT_STREAM)
        whole = await unless_gone(request, told_whole(reply, writer))
    except ClientGoneError:
        return Response(status_code=CLIENT_CLOSED)
    return JSONResponse(whole.model_dump(mode="json"))
