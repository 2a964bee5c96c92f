"""This machine, and the stream of the workspace's news."""

from __future__ import annotations

from fastapi import APIRouter, WebSocket

from backend.live.connection import Connection
from backend.live.messages import (
    DownloadsMessage,
    QueueMessage,
    RunChangedMessage,
    SystemMessage,
)
from backend.routers.dependencies import Here
from backend.system.figures import SystemFigures
from backend.system.folders import FoldersView, choose_folders, describe_folders
from backend.system.reserves import Reserves, load_reserves, save_reserves
from backend.workbench import Bench
from OnPolicyDistill.runs.chosen_folders import ChosenFolders

router = APIRouter(tags=["system"])


@router.get("/system")
def read_system(backend: Here) -> SystemFigures:
    """Return memory, disk and load."""
    return backend.figures or backend.sampler.sample()


@router.get("/reserves")
def read_reserves(backend: Here) -> Reserves:
    """Return what runs must leave free."""
    return load_reserves(backend.settings)


@router.put("/reserves")
def set_reserves(backend: Here, reserves: Reserves) -> Reserves:
    """Set what runs must leave free; a run at work that leaves less is paused."""
    save_reserves(backend.settings, reserves)
    return reserves


@router.get("/folders")
def read_folders(backend: Here, bench: Bench) -> FoldersView:
    """Say where runs, data, models and exports go, and how full their disks are."""
    recent = bench.prompt_sets.recent_folders()
    return describe_folders(backend.settings, bench.library.hub.cache_dir, recent)


@router.put("/folders")
def set_folders(backend: Here, bench: Bench, chosen: ChosenFolders) -> FoldersView:
    """Choose where exports go and where the file picker opens; what cannot be used is refused."""
    choose_folders(backend.settings, chosen)
    return read_folders(backend, bench)


@router.websocket("/stream")
async def stream(websocket: WebSocket, backend: Here, bench: Bench) -> None:
    """Follow the workspace: queue, runs and downloads that change, system figures every second."""
    connection = Connection(websocket, backend.settings.slow_client_seconds)

    async def conversation() -> None:
        system = backend.figures or await backend.in_thread(backend.sampler.sample)
        working = await backend.in_thread(backend.working)
        first = [
            QueueMessage(queue=backend.queue()),
            *(RunChangedMessage(run=run) for run in working),
            DownloadsMessage(downloads=await backend.in_thread(bench.downloads.list)),
            SystemMessage(system=system),
        ]
        await backend.board.follow(connection, first)

    await connection.talk(conversation)
