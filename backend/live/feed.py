"""A run's log followed once for all its readers; each batch of events is encoded once."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from backend.history.lines import FileReplacedError
from backend.history.runlog import RunLog
from backend.live.messages import encode_events

KEPT_BATCHES = 64
BATCH_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Batch:
    """Encoded events, first to last."""

    first: int
    last: int
    text: str


class RunFeed:
    """Follows a log while somebody reads it. `end` is the number of events known."""

    def __init__(self, log: RunLog, follow_seconds: float) -> None:
        self.log = log
        self.end = 0
        self.is_gone = False
        self.state_text: str | None = None
        self.num_readers = 0
        self._follow_seconds = follow_seconds
        self._batches: deque[Batch] = deque(maxlen=KEPT_BATCHES)
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Count one more reader in; the first one starts the following."""
        self.num_readers += 1
        if self._task is None:
            self.end = await asyncio.to_thread(self.log.catch_up)
            self._task = asyncio.create_task(self._follow())

    def close(self) -> None:
        """Count a reader out; the last one ends the following."""
        self.num_readers -= 1
        if self.num_readers == 0 and self._task is not None:
            self._task.cancel()
            self._task = None

    async def next_text(self, first: int) -> Batch | None:
        """Return events from number `first`; a batch others get too, or one made for this reader.

        None means that the reader has all there is.
        """
        if first >= self.end:
            return None
        for batch in reversed(self._batches):
            if batch.first == first:
                return batch
            if batch.first < first:
                break
        count = min(BATCH_EVENTS, self.end - first)
        lines = await asyncio.to_thread(self.log.read, first, count)
        return Batch(first, first + len(lines) - 1, encode_events(first, lines))

    async def wait_for_news(self, seconds: float) -> bool:
        """Wait until something happens, but no longer than this; returns whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def publish_state(self, text: str) -> None:
        """Tell all readers that the run's entry changed."""
        self.state_text = text
        self._announce()

    def mark_gone(self) -> None:
        """Tell all readers that the run is not there any more."""
        self.is_gone = True
        self._announce()

    async def _follow(self) -> None:
        while not self.is_gone:
            try:
                batches = await asyncio.to_thread(self._read_news, self.end)
            except (FileReplacedError, FileNotFoundError):
                self.mark_gone()
                return
            if batches:
                self._batches.extend(batches)
                self.end = batches[-1].last + 1
                self._announce()
            elif self.log.damage is not None:
                self._announce()
            await asyncio.sleep(self._follow_seconds)

    def _read_news(self, first: int) -> list[Batch]:
        known = self.log.catch_up()
        batches: list[Batch] = []
        while first < known and len(batches) < KEPT_BATCHES:
            lines = self.log.read(first, BATCH_EVENTS)
            batches.append(Batch(first, first + len(lines) - 1, encode_events(first, lines)))
            first += len(lines)
        return batches

    def _announce(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()
