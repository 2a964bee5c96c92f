"""Tokens for programs: every route has a scope, and a read token changes nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import WebSocketRoute

from backend.app import ROUTERS, create_api, guard
from backend.backend import Backend
from backend.routers import v1
from backend.scopes import scope_of
from backend.settings import BackendSettings
from tests.backend.conftest import ORIGIN, MakeRun, served
from tests.backend.test_guard import socket_status

# Routes that are more than a GET and may be asked by a token that reads: they keep nothing.
ASKED_BY_READERS = {
    "POST /v1/chat/completions",
    "POST /v1/completions",
    "POST /api/configs/check",
    "POST /api/configs/parse",
    "POST /api/plan",
    "POST /api/check",
    "POST /api/pair",
}
# Reads that a token which reads may not have: they hold what opens more.
KEPT_FROM_READERS = {"GET /api/tokens", "GET /api/notices"}


@pytest.fixture
async def reader(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(guard(create_api(backend), backend))
    bearer = {"authorization": f"Bearer {backend.tokens.shown().read}"}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=bearer) as client:
        yield client


def operations(backend: Backend) -> list[tuple[str, str, str]]:
    """Method, path and documented scope of everything that the application answers."""
    document = create_api(backend).openapi()
    found = [
        (method.upper(), path, operation["x-scope"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(found) > 80
    return found


def filled(path: str) -> str:
    values = {"{run_id}": "distill_x", "{scope}": "read"}
    for name, value in values.items():
        path = path.replace(name, value)
    return re.sub(r"{[^}]+}", "1", path)


def test_no_route_is_left_out_of_the_document(backend: Backend) -> None:
    documented = {(method, path) for method, path, _ in operations(backend)}
    halves = (("/api", ROUTERS), ("/v1", (v1.router,)))
    routes = [(root, route) for root, many in halves for one in many for route in one.routes]
    asked = {
        (method, root + route.path.replace(":path", ""))
        for root, route in routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert asked == documented
    streams = [root + route.path for root, route in routes if isinstance(route, WebSocketRoute)]
    assert len(streams) == 2
    assert all(scope_of("GET", path) == "read" for path in streams)  # they only tell


async def test_a_read_token_cannot_start_delete_or_change(
    reader: httpx.AsyncClient, backend: Backend
) -> None:
    asked, kept = set(), set()
    for method, path, scope in operations(backend):
        answer = await reader.request(method, filled(path))
        refused = answer.status_code == 403
        if refused:
            error = answer.json()
            assert error.get("code", error.get("error", {}).get("code")) == "read_only_token"
        assert refused == (scope == "write"), f"{method} {path}"
        if method == "GET" and refused:
            kept.add(f"{method} {path}")
        if method != "GET" and not refused:
            asked.add(f"{method} {path}")
    assert asked == ASKED_BY_READERS
    assert kept == KEPT_FROM_READERS


async def test_a_read_token_sees_runs_and_deletes_none(
    reader: httpx.AsyncClient, backend: Backend, make_run: MakeRun
) -> None:
    run = make_run(steps=2)
    backend.watcher.start()
    assert (await reader.get("/api/runs")).json()["total"] == 1
    for refused in (
        await reader.delete(f"/api/runs/{run.run_id}"),
        await reader.post(f"/api/runs/{run.run_id}/start"),
        await reader.post("/api/shutdown", json={}),
        await reader.post("/api/playground/ask", json={}),
    ):
        assert refused.status_code == 403
    assert run.path.is_dir()


def test_a_read_token_may_follow_streams(settings: BackendSettings) -> None:
    with served(settings) as (backend, port):
        token = backend.tokens.shown().read
        assert socket_status(port, authorization=f"Bearer {token}") == 101


async def test_tokens_are_shown_kept_and_changed_one_by_one(
    client: httpx.AsyncClient, backend: Backend, settings: BackendSettings
) -> None:
    assert backend.tokens.known is None
    before = (await client.get("/api/tokens")).json()
    assert (await client.get("/api/tokens")).json() == before
    file = settings.workspace / "api_tokens.json"
    assert file.stat().st_mode & 0o777 == 0o600
    again = Backend(settings)
    assert again.tokens.shown().model_dump() == before
    again.index.engine.dispose()
    after = (await client.post("/api/tokens/read/rotate")).json()
    assert after["write"] == before["write"]
    assert after["read"] != before["read"]
    for token, status in ((before["read"], 401), (after["read"], 200), (after["write"], 200)):
        client.headers["authorization"] = f"Bearer {token}"
        assert (await client.get("/api/runs")).status_code == status
    assert (await client.post("/api/tokens/write/rotate")).status_code == 200
    assert (await client.get("/api/runs")).status_code == 401


def test_damaged_tokens_open_nothing_and_are_made_again(settings: BackendSettings) -> None:
    settings.workspace.mkdir()
    Path(settings.workspace / "api_tokens.json").write_text('{"read": "", "write": ""}')
    backend = Backend(settings)
    assert backend.tokens.known is None
    assert backend.access.scope_of([(b"authorization", b"Bearer ")]) is None
    assert len(backend.tokens.shown().read) > 30
    backend.index.engine.dispose()
