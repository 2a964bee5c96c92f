"""Starting, pausing and stopping runs, and the order of those that wait."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import Field

from backend.backend import Backend
from backend.history.views import RunSummary, View
from backend.live.messages import QueueView
from backend.problems import ConflictError
from backend.ranks import RanksAsked, choose, chosen_for, keep
from backend.routers.dependencies import NAME_PATTERN, Here, RunId, refusals
from backend.starting import enqueue, resume_at
from backend.supervisor.slot import Verb
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.directory import RunDirectory

router = APIRouter(tags=["queue"])

CheckpointStep = Annotated[int, Path(ge=1, le=10**12, description="A checkpoint's step.")]
First = Annotated[bool, Query(description="Put it before all that wait.")]


class QueueOrder(View):
    """Exactly the runs that wait, in the wanted order."""

    run_ids: tuple[Annotated[str, Field(pattern=NAME_PATTERN)], ...] = Field(max_length=10_000)


class Start(View):
    """How to start or resume a run; without `where` on the ranks that it was made for."""

    anyway: bool = Field(False, description="Even if less memory is free than it needs.")
    where: RanksAsked | None = Field(None, description="On other ranks than before.")


ONLY_WITH_ROOM = Start()


@router.get("/queue")
def read_queue(backend: Here) -> QueueView:
    """Return the slot and who waits for it."""
    return backend.queue()


@router.put("/queue", responses=refusals(409))
def reorder(backend: Here, order: QueueOrder) -> QueueView:
    """Put the queue in another order; the same order again changes nothing."""
    backend.supervisor.reorder(order.run_ids)
    return backend.queue()


@router.delete("/queue/{run_id}")
def dequeue(backend: Here, run_id: RunId) -> QueueView:
    """Take a run off the queue; one that is not on it stays off."""
    backend.supervisor.dequeue(run_id)
    return backend.queue()


@router.post("/runs/{run_id}/start", responses=refusals(404, 409, 507))
def start(
    backend: Here, run_id: RunId, first: First = False, how: Start = ONLY_WITH_ROOM
) -> RunSummary:
    """Queue a run that has not begun; it starts when the slot is free. Again changes nothing.

    Answers `memory_in_use` where it would start now and needs more memory than is free.
    """
    _refuse_unless(backend, run_id, ("created",), "has begun already", "Resume or duplicate it.")
    return _enqueue(backend, run_id, "train", first, how)


@router.post("/runs/{run_id}/resume", responses=refusals(404, 409, 507))
def resume(
    backend: Here, run_id: RunId, first: First = False, how: Start = ONLY_WITH_ROOM
) -> RunSummary:
    """Queue a run that was paused or broke off, to go on from its last checkpoint.

    Answers `memory_in_use` as a start does.
    """
    resumable = ("paused", "interrupted", "failed")
    _refuse_unless(backend, run_id, resumable, "has nothing to resume", "Start or duplicate it.")
    return _enqueue(backend, run_id, "resume", first, how)


@router.post("/runs/{run_id}/checkpoints/{step}/resume", responses=refusals(404, 409, 507))
def resume_from(
    backend: Here, run_id: RunId, step: CheckpointStep, how: Start = ONLY_WITH_ROOM
) -> RunSummary:
    """Go on from a checkpoint, and return the run that does; nothing behind it is undone.

    From the newest one of a run that is not finished, that run goes on. From another, a new run
    begins as a copy of what this one was then, and this one stays as it is. Answers
    `memory_in_use` as a start does.
    """
    run = resume_at(backend, backend.existing(run_id), step, how.anyway, how.where)
    return backend.changed(run.run_id)


@router.post("/runs/{run_id}/pause", responses=refusals(404, 409, 507))
def pause(backend: Here, run_id: RunId) -> RunSummary:
    """Ask a run to save a checkpoint and free its memory; asking again changes nothing."""
    backend.supervisor.wish(backend.existing(run_id).run_id, "pause")
    return backend.changed(run_id)


@router.post("/runs/{run_id}/stop", responses=refusals(404, 409, 507))
def stop(backend: Here, run_id: RunId) -> RunSummary:
    """Ask a run to finish now and keep what it learned; asking again changes nothing."""
    backend.supervisor.wish(backend.existing(run_id).run_id, "finish")
    return backend.changed(run_id)


@router.post("/runs/{run_id}/kill", responses=refusals(404, 409, 507))
def kill(backend: Here, run_id: RunId) -> RunSummary:
    """End a run's process at once; steps since the last checkpoint are lost."""
    backend.supervisor.wish(backend.existing(run_id).run_id, "kill")
    return backend.changed(run_id)


def _refuse_unless(
    backend: Backend, run_id: str, states: tuple[str, ...], reason: str, action: str
) -> None:
    run = backend.existing(run_id)
    state = run.state()
    if state not in (*states, "running") and not backend.supervisor.waits(run_id):
        raise ConflictError(
            f"Run {called(run)} is {state}: it {reason}.", action, code=f"run_{state}"
        )


def _enqueue(backend: Backend, run_id: str, verb: Verb, first: bool, how: Start) -> RunSummary:
    run = backend.existing(run_id)
    if how.where is not None:
        _choose_ranks(backend, run, how.where)
    enqueue(backend, run, verb, first, how.anyway)
    return backend.changed(run_id)


def _choose_ranks(backend: Backend, run: RunDirectory, where: RanksAsked) -> None:
    """Keep where a run shall work; of one at work that is what is true of it, and stays."""
    workspace = backend.settings.workspace
    chosen = choose(backend.settings, where, run.config())
    is_working = run.state() == "running" or backend.supervisor.is_busy_with(run.run_id)
    if not is_working:
        keep(workspace, run.run_id, chosen)
    elif chosen != chosen_for(workspace, run.run_id):
        raise ConflictError(
            f"Run {called(run)} is at work or waits, on other ranks.",
            "Pause it or take it off the queue first.",
            code="run_busy",
        )
