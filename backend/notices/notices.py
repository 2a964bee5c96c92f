"""Watches for runs that end and tells the webhook, some times again where it does not answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from backend.history.views import RunSummary
from backend.notices.sending import NotSentError, send
from backend.notices.views import (
    Delivery,
    Ending,
    Notice,
    NoticedRun,
    NoticeSettings,
    NoticesView,
    words_of,
)
from backend.private_files import write_for_user_alone
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain

NOTICES_FILE = "notices.json"
# Seconds before each try: a minute and a half in all.
WAITS = (0.0, 2.0, 15.0, 75.0)
MAX_UNSENT = 100

Sending = Callable[[str, Notice], Awaitable[str]]
logger = logging.getLogger(__name__)


class Notices:
    """Call it from the event loop only; `waits` are the seconds before each try."""

    def __init__(
        self, workspace: Path, waits: tuple[float, ...] = WAITS, sending: Sending = send
    ) -> None:
        self._file = workspace / NOTICES_FILE
        self._waits = waits
        self._sending = sending
        self._settings = _read(self._file)
        self._last: Delivery | None = None
        self._states: dict[str, str] = {}
        self._since = time.time()
        self._unsent: set[asyncio.Task[None]] = set()

    def view(self) -> NoticesView:
        """Where notices go and how the last one fared."""
        return NoticesView(settings=self._settings, last=self._last)

    def set(self, settings: NoticeSettings) -> NoticesView:
        """Send to another address from now on, or nothing.

        Raises:
            DiskFullError: it cannot be kept.
        """
        write_for_user_alone(self._file, settings.model_dump_json())
        self._settings = settings
        return self.view()

    async def try_out(self) -> NoticesView:
        """Send a trial at once, one time; without an address nothing is sent."""
        if self._settings.webhook_url is not None:
            text = "OnPolicyDistill will tell here when a run has ended."
            notice = Notice(event="trial", text=text, sent=time.time())
            await self._deliver(self._settings.webhook_url, notice, (0.0,))
        return self.view()

    def hear(self, run: RunSummary) -> None:
        """Take a run's entry; one that has just come to its end is told of."""
        before = self._states.get(run.run_id)
        self._states[run.run_id] = run.state
        if run.state not in get_args(Ending) or before == run.state:
            return
        # One that nobody saw at work, such as an old one that was copied here, is no news.
        if before is None and (run.updated or 0) < self._since:
            return
        url = self._settings.webhook_url
        if url is not None and len(self._unsent) < MAX_UNSENT:
            task = asyncio.ensure_future(self._deliver(url, _notice_of(run), self._waits))
            self._unsent.add(task)
            task.add_done_callback(self._unsent.discard)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver while the block runs; what is unsent at its end is not sent."""
        try:
            yield
        finally:
            unsent = tuple(self._unsent)
            for task in unsent:
                task.cancel()
            await asyncio.gather(*unsent, return_exceptions=True)

    async def _deliver(self, url: str, notice: Notice, waits: tuple[float, ...]) -> None:
        run_id = None if notice.run is None else notice.run.id
        for wait in waits:
            await asyncio.sleep(wait)
            try:
                words, was_taken, is_over = await self._sending(url, notice), True, True
            except NotSentError as error:
                words, was_taken, is_over = str(error), False, error.is_final
            self._last = Delivery(when=time.time(), run_id=run_id, was_taken=was_taken, words=words)
            if is_over:
                break
        if not self._last or not self._last.was_taken:
            logger.warning("a notice was not taken: %s", words)


def _notice_of(run: RunSummary) -> Notice:
    state: Ending = next(ending for ending in get_args(Ending) if ending == run.state)
    return Notice(
        event="run_ended",
        text=words_of(run.name, state),
        sent=time.time(),
        run=NoticedRun(
            id=run.run_id,
            name=run.name,
            method=run.method,
            state=state,
            step=run.step,
            num_steps=run.num_steps,
        ),
    )


def _read(file: Path) -> NoticeSettings:
    """What is kept; a damaged file sends nothing."""
    try:
        return NoticeSettings.model_validate_json(read_plain(file))
    except (FileNotFoundError, RunError, ValidationError):
        return NoticeSettings()
