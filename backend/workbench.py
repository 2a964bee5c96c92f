"""What the resources beside runs share: models, downloads, prompt sets, the playground."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from backend.backend import Backend
from backend.downloads.downloads import Downloads
from backend.exports.exports import Exports
from backend.models.library import ModelLibrary
from backend.models.place import Hub
from backend.playground.playground import Playground
from backend.prompt_sets.lint import Linter
from backend.prompt_sets.store import PromptSets

DEFAULT_HUB = Hub()


class Workbench:
    """Holds one of each for a backend."""

    def __init__(self, backend: Backend, hub: Hub = DEFAULT_HUB) -> None:
        self.hub = hub
        self.library = ModelLibrary(backend, hub)
        self.downloads = Downloads(backend.settings, hub)
        self.prompt_sets = PromptSets(backend)
        self.linter = Linter(hub)
        self.exports = Exports(backend, hub)
        backend.holders.append(self.exports.at_work)
        self.playground = Playground(backend, hub)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Give back what is held when the block ends; downloads go on by themselves."""
        try:
            yield
        finally:
            await self.playground.close()


def current_workbench(connection: HTTPConnection) -> Workbench:
    """Return the workbench of the application that answers."""
    workbench: Workbench = connection.app.state.workbench
    return workbench


Bench = Annotated[Workbench, Depends(current_workbench)]
