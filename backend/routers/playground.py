"""The playground: student, base and teacher side by side, streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.sse import EventSourceResponse

from backend.playground.keeping import KeptPrompt, keep
from backend.playground.playground import Exchange
from backend.playground.samples import SamplePrompt, samples_of
from backend.playground.views import PlaygroundView, Question
from backend.playground.votes import Tally, Vote
from backend.prompt_sets.views import PromptSetView
from backend.routers.dependencies import Here, RunId, refusals
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


@router.post("/playground/kept", status_code=201, responses=refusals(404, 409, 507))
def keep_prompt(backend: Here, bench: Bench, kept: KeptPrompt) -> PromptSetView:
    """Keep a question as a line of a prompt set, with its answer where one is given."""
    return keep(backend, bench.prompt_sets, kept)


@router.get("/runs/{run_id}/samples", responses=refusals(404))
def read_samples(
    backend: Here,
    bench: Bench,
    run_id: RunId,
    seed: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=50)] = 6,
) -> tuple[SamplePrompt, ...]:
    """Draw prompts from the files that a run learned from and was measured on."""
    return samples_of(backend.existing(run_id), bench.linter, seed, limit)


@router.get("/runs/{run_id}/votes", responses=refusals(404))
def read_votes(backend: Here, bench: Bench, run_id: RunId) -> Tally:
    """Return how often the teacher was told from the student without seeing who is who."""
    return bench.votes.tally(backend.existing(run_id).run_id)


@router.post("/runs/{run_id}/votes", responses=refusals(404, 507))
def add_vote(backend: Here, bench: Bench, run_id: RunId, vote: Vote) -> Tally:
    """Count a guess at which of two answers was the teacher's."""
    return bench.votes.add(backend.existing(run_id).run_id, vote)


@router.delete("/runs/{run_id}/votes", responses=refusals(404, 507))
def clear_votes(backend: Here, bench: Bench, run_id: RunId) -> Tally:
    """Forget a run's guesses; again changes nothing."""
    return bench.votes.clear(backend.existing(run_id).run_id)
