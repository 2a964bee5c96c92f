"""What the websockets say, and the codes they close with."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

from pydantic import Field

from backend.downloads.record import DownloadRecord
from backend.history.views import RunSummary, View
from backend.supervisor.slot import ActiveRun, QueueEntry
from backend.system.figures import SystemFigures
from OnPolicyDistill.runs.events import Event


class CloseCode(IntEnum):
    """Why the backend closes a websocket; reconnect with `after` = the last seq you have.

    1012 is sent when the backend stops. After 4408 and 1012 reconnect; after 4409 and 4410 load
    the run afresh; 4404 and 4500 will not get better by themselves.
    """

    NO_SUCH_RUN = 4404
    TOO_SLOW = 4408
    AHEAD_OF_LOG = 4409
    RUN_REPLACED = 4410
    LOG_DAMAGED = 4500


class SnapshotMessage(View):
    """First message of a stream opened without `after`: how the run stands, then it follows."""

    kind: Literal["snapshot"] = "snapshot"
    seq: int = Field(description="Last event that is contained; -1 for an empty log.")
    run: RunSummary
    recent: tuple[Event, ...] = Field(description="The last events, at most 100.")


class EventsMessage(View):
    """The next events, without gaps, in order."""

    kind: Literal["events"] = "events"
    first: int
    last: int
    events: tuple[Event, ...]


class StateMessage(View):
    """The run's entry changed: its state, its annotations, or its place in the queue."""

    kind: Literal["state"] = "state"
    run: RunSummary


class PingMessage(View):
    """Nothing happened for a while, and the connection is alive."""

    kind: Literal["ping"] = "ping"
    time: float


RunStreamMessage = SnapshotMessage | EventsMessage | StateMessage | PingMessage


class QueueView(View):
    """The slot and who waits for it."""

    active: ActiveRun | None
    queue: tuple[QueueEntry, ...]
    blocked: str | None = Field(None, description="Why the next run is not started.")
    waits_for_memory: bool = Field(False, description="It could be told to start anyway.")


class QueueMessage(View):
    """The slot or the queue changed."""

    kind: Literal["queue"] = "queue"
    queue: QueueView


class RunChangedMessage(View):
    """A run's entry changed or is new."""

    kind: Literal["run"] = "run"
    run: RunSummary


class RunRemovedMessage(View):
    """A run was deleted."""

    kind: Literal["removed"] = "removed"
    run_id: str


class DownloadsMessage(View):
    """A download went on, began, ended or was forgotten; all that are listed, newest first."""

    kind: Literal["downloads"] = "downloads"
    downloads: tuple[DownloadRecord, ...]


class SystemMessage(View):
    """This machine now; once a second."""

    kind: Literal["system"] = "system"
    system: SystemFigures


WorkspaceStreamMessage = (
    QueueMessage | RunChangedMessage | RunRemovedMessage | DownloadsMessage | SystemMessage
)


def encode_events(first: int, lines: list[bytes]) -> str:
    """Encode an EventsMessage from lines that are JSON already."""
    last = first + len(lines) - 1
    joined = b",".join(lines).decode("utf-8")
    return f'{{"kind":"events","first":{first},"last":{last},"events":[{joined}]}}'
