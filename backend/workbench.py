"""What the resources beside runs share: models, downloads, prompt sets, the playground."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from backend.backend import Backend
from backend.downloads.downloads import Downloads
from backend.downloads.record import DownloadRecord
from backend.exports.exports import Exports
from backend.live.messages import DownloadsMessage
from backend.models.choosing import Choosing
from backend.models.library import ModelLibrary
from backend.models.place import Hub
from backend.notices.notices import Notices
from backend.pipelines.pipelines import Pipelines
from backend.playground.playground import Playground
from backend.playground.votes import Votes
from backend.prompt_sets.linter import Linter
from backend.prompt_sets.looks import Looks
from backend.prompt_sets.store import PromptSets

DEFAULT_HUB = Hub()
DOWNLOADS_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Workbench:
    """Holds one of each for a backend."""

    def __init__(self, backend: Backend, hub: Hub = DEFAULT_HUB) -> None:
        self.hub = hub
        self._board = backend.board
        self.library = ModelLibrary(backend, hub)
        self.choosing = Choosing(self.library, backend.settings.workspace)
        self.downloads = Downloads(backend.settings, hub)
        self.linter = Linter(hub)
        self.looks = Looks(backend.settings.workspace, self.linter)
        self.prompt_sets = PromptSets(backend, self.looks)
        self.exports = Exports(backend, hub)
        backend.holders.append(self.exports.at_work)
        self.pipelines = Pipelines(backend)
        backend.holders.append(self.pipelines.at_work)
        self.playground = Playground(backend, hub, self.prompt_sets)
        self.votes = Votes(backend.settings.workspace)
        self.notices = Notices(backend.settings.workspace)
        backend.on_run_change.append(self.notices.hear)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell of downloads while the block runs; they go on by themselves when it ends."""
        telling = asyncio.create_task(self._tell_of_downloads())
        try:
            async with self.notices.running():
                yield
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            await self.playground.close()

    async def _tell_of_downloads(self) -> None:
        """Publish downloads whenever one changed; looks only while somebody listens."""
        told: tuple[DownloadRecord, ...] = ()
        while True:
            await asyncio.sleep(DOWNLOADS_SECONDS)
            if not self._board.has_readers:
                continue
            try:
                found = await asyncio.to_thread(self.downloads.list)
            except OSError:
                logger.exception("downloads could not be listed; trying again")
                continue
            if found != told:
                told = found
                self._board.publish(DownloadsMessage(downloads=found))


def current_workbench(connection: HTTPConnection) -> Workbench:
    """Return the workbench of the application that answers."""
    workbench: Workbench = connection.app.state.workbench
    return workbench


Bench = Annotated[Workbench, Depends(current_workbench)]
