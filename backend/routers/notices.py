"""Notices of runs that have ended, to an address of the user's choice."""

from __future__ import annotations

from fastapi import APIRouter

from backend.notices.views import NoticeSettings, NoticesView
from backend.routers.dependencies import refusals
from backend.workbench import Bench

router = APIRouter(tags=["notices"])


@router.get("/notices")
async def read_notices(bench: Bench) -> NoticesView:
    """Return where notices go, and how the last one fared."""
    return bench.notices.view()


@router.put("/notices", responses=refusals(507))
async def set_notices(bench: Bench, settings: NoticeSettings) -> NoticesView:
    """Tell an address whenever a run has ended, or none.

    Sent are the run's name, id, method, state and steps; no prompts, completions, figures or paths.
    """
    return bench.notices.set(settings)


@router.post("/notices/try")
async def try_notices(bench: Bench) -> NoticesView:
    """Send a trial now, and say how it fared."""
    return await bench.notices.try_out()
