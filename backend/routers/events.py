"""A run's events, its metrics over time, and the stream that follows it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response, WebSocket
from pydantic import Field

from backend.charts import Marks, MetricHistory, marks_of, metric_history
from backend.history.views import View
from backend.live.connection import ClosedError, Connection
from backend.live.messages import CloseCode
from backend.live.run_stream import follow_run
from backend.problems import NotFoundError
from backend.routers.dependencies import Here, RunId, refusals
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.events import Event

router = APIRouter(tags=["events"])

Step = Annotated[int, Query(ge=0, le=2**53)]


class EventPage(View):
    """Events in order; ask again with `after` = last to go on."""

    events: tuple[Event, ...]
    last: int = Field(description="Number of the last event here, or `after` when there is none.")
    total: int = Field(description="Events in the log.")


@router.get("/runs/{run_id}/events", responses=refusals(404, 409))
def read_events(
    backend: Here,
    run_id: RunId,
    after: Annotated[int, Query(ge=-1, le=2**53)] = -1,
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
) -> EventPage:
    """Return events behind a number; a page may hold fewer than asked for."""
    log = backend.log(run_id)
    total = log.catch_up()
    events = log.events(after + 1, limit)
    return EventPage(events=events, last=after + len(events), total=total)


@router.get("/runs/{run_id}/marks", responses=refusals(404, 409))
def read_marks(backend: Here, run_id: RunId) -> Marks:
    """Return what is marked on the charts' axis."""
    return marks_of(backend.log(run_id))


@router.get(
    "/runs/{run_id}/metrics/{key}", response_model=MetricHistory, responses=refusals(404, 409)
)
def read_metric(
    backend: Here,
    run_id: RunId,
    key: Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,79}$")],
    first: Annotated[int | None, Query(alias="from", ge=0, le=2**53, description="Step.")] = None,
    last: Annotated[int | None, Query(alias="to", ge=0, le=2**53, description="Step.")] = None,
    px: Annotated[int, Query(ge=1, le=8192, description="Buckets at most.")] = 1000,
) -> Response:
    """Return a metric over steps as minimum, maximum and mean; no spike is lost at any zoom."""
    history = metric_history(backend.log(run_id), key, first, last, px)
    if history is None:
        raise NotFoundError(f"Run {called(backend.existing(run_id))} has not measured {key}.")
    # Thousands of numbers that are right already: checking each again takes most of the time.
    return Response(history.model_dump_json(), media_type="application/json")


@router.websocket("/runs/{run_id}/stream")
async def stream(
    websocket: WebSocket,
    backend: Here,
    run_id: RunId,
    after: Annotated[int | None, Query(ge=-1, le=2**53)] = None,
) -> None:
    """Follow a run: a snapshot or everything after a number, then what comes."""
    connection = Connection(websocket, backend.settings.slow_client_seconds)

    async def conversation() -> None:
        try:
            summary = await backend.in_thread(backend.summary, run_id)
        except NotFoundError:
            raise ClosedError(CloseCode.NO_SUCH_RUN) from None
        async with backend.feed(run_id) as feed:
            await follow_run(connection, feed, summary, after, backend.settings.heartbeat_seconds)

    await connection.talk(conversation)
