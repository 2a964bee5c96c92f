"""The application: the guard outside, the API and the pages inside."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from backend.backend import Backend
from backend.guard import Guard, Surface, Upload, is_under
from backend.openapi import install_openapi
from backend.pages import create_pages
from backend.playground.views import ASK_BODY
from backend.problems import install_problem_handlers
from backend.routers import (
    bundles,
    downloads,
    evaluations,
    events,
    exports,
    files,
    instance,
    models,
    notices,
    pipelines,
    planning,
    playground,
    prompt_sets,
    queue,
    ranks,
    runs,
    schema,
    system,
    tokens,
    trash,
    v1,
)
from backend.settings import BackendSettings
from backend.v1.errors import write_in_form
from backend.workbench import Workbench

API_ROOTS = ("api", "v1")

# One module a resource. A router is added here and nowhere else.
ROUTERS: tuple[APIRouter, ...] = (
    instance.router,
    runs.router,
    trash.router,
    queue.router,
    events.router,
    files.router,
    bundles.router,
    schema.router,
    system.router,
    planning.router,
    models.router,
    downloads.router,
    prompt_sets.router,
    playground.router,
    exports.router,
    evaluations.router,
    pipelines.router,
    tokens.router,
    notices.router,
    ranks.router,
)


def create_app(settings: BackendSettings) -> Guard:
    """Return the whole backend as one ASGI application, guarded."""
    backend = Backend(settings)
    return guard(create_api(backend), backend)


def create_api(backend: Backend) -> FastAPI:
    """Return the API without its guard."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with backend.running(), app.state.workbench.running():
            yield

    api = FastAPI(
        title="OnPolicyDistill",
        version=version("onpolicydistill"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        redirect_slashes=False,
    )
    api.state.backend = backend
    api.state.workbench = Workbench(backend)
    api.include_router(v1.router, prefix="/v1")  # first, as what most readers look for
    for router in ROUTERS:
        api.include_router(router, prefix="/api")
    install_problem_handlers(api, write_in_form)
    install_openapi(api)
    return api


def guard(api: FastAPI, backend: Backend) -> Guard:
    """Put the pages beside the API and the guard around both."""
    pages = create_pages(backend.settings.frontend, backend.access)
    bundle_upload = Upload(
        re.compile(r"/api/bundles"), ("application/zip",), backend.settings.max_bundle_bytes
    )
    uploads = (bundle_upload, prompt_sets.PROMPT_SET_UPLOAD)
    return Guard(
        _Halves(api, pages),
        backend.settings,
        backend.access,
        uploads,
        (ASK_BODY,),
        Surface(API_ROOTS, write_in_form),
    )


class _Halves:
    """Sends /api, /v1 and websockets to the API, everything else to the pages."""

    def __init__(self, api: ASGIApp, pages: ASGIApp) -> None:
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["type"] == "http" and not is_under(scope["path"], API_ROOTS)
        await (self._pages if is_page else self._api)(scope, receive, send)
