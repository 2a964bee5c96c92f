"""The playground: student, base and teacher side by side, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse

from backend.playground.playground import Exchange
from backend.playground.views import PlaygroundView, Question
from backend.routers.dependencies import refusals
from backend.workbench import Bench
from OnPolicyDistill.evaluation.playground_messages import PlaygroundMessage

router = APIRouter(tags=["playground"])


async def _opened(bench: Bench, question: Question) -> Exchange:
    """Refuse before the stream begins, so that a refusal is a problem and not an event."""
    return await bench.playground.open(question)


@router.get("/playground")
async def read_playground(bench: Bench) -> PlaygroundView:
    """Say how the playground stands: cold, warm, busy, or blocked by a run."""
    return await bench.playground.view()


@router.post("/playground/ask", response_class=EventSourceResponse, responses=refusals(404, 409))
async def ask(
    bench: Bench, exchange: Annotated[Exchange, Depends(_opened)]
) -> AsyncIterator[PlaygroundMessage]:
    """Complete a conversation with several models; the last event is done, stopped or failed.

    Closing the connection stops the work; so does another question.
    """
    async for message in bench.playground.follow(exchange):
        yield message


@router.delete("/playground")
async def unload_playground(bench: Bench) -> PlaygroundView:
    """End the process and give its memory back; again changes nothing."""
    await bench.playground.close()
    return await bench.playground.view()
