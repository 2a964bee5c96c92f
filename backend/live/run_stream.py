"""What one reader of a run hears: a snapshot or all after a number, then everything, in order."""

from __future__ import annotations

import asyncio
import time

from backend.history.views import RunSummary
from backend.live.connection import ClosedError, Connection
from backend.live.feed import RunFeed
from backend.live.messages import CloseCode, PingMessage, SnapshotMessage, StateMessage
from OnPolicyDistill.errors import RunError

RECENT_EVENTS = 100


async def follow_run(
    connection: Connection,
    feed: RunFeed,
    summary: RunSummary,
    after: int | None,
    heartbeat_seconds: float,
) -> None:
    """Send events from `after` + 1 on; without `after`, a snapshot first.

    Raises:
        ClosedError: the conversation is over, with the reason.
    """
    if after is None:
        after = await _send_snapshot(connection, feed, summary)
    elif after >= feed.end:
        raise ClosedError(CloseCode.AHEAD_OF_LOG)
    else:
        await connection.send(StateMessage(run=summary).model_dump_json())
    await _follow(connection, feed, after + 1, heartbeat_seconds)


async def _send_snapshot(connection: Connection, feed: RunFeed, summary: RunSummary) -> int:
    end = feed.end
    first = max(0, end - RECENT_EVENTS)
    try:
        recent = await asyncio.to_thread(feed.log.events, first, end - first)
    except RunError:
        raise ClosedError(CloseCode.LOG_DAMAGED) from None
    # A page is bounded in bytes too: what is sent ends where the page does.
    last = first + len(recent) - 1
    snapshot = SnapshotMessage(seq=last, run=summary, recent=recent)
    await connection.send(snapshot.model_dump_json())
    return last


async def _follow(
    connection: Connection, feed: RunFeed, position: int, heartbeat_seconds: float
) -> None:
    heard = feed.state_text
    while True:
        try:
            batch = await feed.next_text(position)
        except FileNotFoundError:
            raise ClosedError(CloseCode.RUN_REPLACED) from None
        if batch is not None:
            await connection.send(batch.text)
            position = batch.last + 1
            continue
        if feed.state_text is not None and feed.state_text is not heard:
            heard = feed.state_text
            await connection.send(heard)
            continue
        if feed.is_gone:
            raise ClosedError(CloseCode.RUN_REPLACED)
        if feed.log.damage is not None:
            raise ClosedError(CloseCode.LOG_DAMAGED)
        if not await feed.wait_for_news(heartbeat_seconds):
            await connection.send(PingMessage(time=time.time()).model_dump_json())
