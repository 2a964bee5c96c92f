"""The built screen from the same origin, and the one-time link that opens a session."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from backend.app import create_api, guard
from backend.backend import Backend
from backend.pages import PAGE
from backend.settings import BackendSettings
from tests.backend.conftest import ORIGIN, TOKEN


@pytest.fixture
async def browser(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    app = guard(create_api(backend), backend)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url=ORIGIN
    ) as browser:
        yield browser


async def test_the_link_opens_a_session_once(browser: httpx.AsyncClient) -> None:
    response = await browser.get("/?token=link-token")
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert (await browser.get("/api/runs")).status_code == 200
    assert (await browser.get("/?token=link-token")).status_code == 303
    browser.cookies.clear()
    again = await browser.get("/?token=link-token")
    assert again.status_code == 401
    assert "used before" in again.text
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize("token", ["", "wrong", "%ff", "link-token%00"])
async def test_a_wrong_link_opens_nothing(browser: httpx.AsyncClient, token: str) -> None:
    response = await browser.get(f"/?token={token}")
    assert response.status_code == 401
    assert (await browser.get("/api/runs")).status_code == 401


async def test_the_holder_of_the_token_can_open_windows(browser: httpx.AsyncClient) -> None:
    for _ in range(2):
        browser.cookies.clear()
        assert (await browser.get(f"/?token={TOKEN}")).status_code == 303


async def test_a_screen_that_is_not_built_is_said_so(browser: httpx.AsyncClient) -> None:
    response = await browser.get("/")
    assert response.status_code == 503
    assert "make build" in response.text


@pytest.fixture
def built(settings: BackendSettings) -> Path:
    dist = settings.frontend
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<title>screen</title>")
    (dist / "assets" / "app-1.js").write_text("let a = 1")
    return dist


async def test_files_and_pages_of_the_screen_are_served(
    browser: httpx.AsyncClient, built: Path
) -> None:
    script = await browser.get("/assets/app-1.js")
    assert script.text == "let a = 1"
    assert "immutable" in script.headers["cache-control"]
    for path in ("/", "/runs", "/runs/distill_1", "/new/models", "/map", "/settings/"):
        page = await browser.get(path)
        assert "screen" in page.text
        assert page.headers["cache-control"] == "no-cache"
        assert "script-src 'self'" in page.headers["content-security-policy"]
    assert (await browser.get("/assets/gone.js")).status_code == 404
    assert (await browser.post("/runs")).status_code == 405


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/runs/a/b", "/x", "//runs"])
async def test_what_is_no_page_is_not_there(
    browser: httpx.AsyncClient, built: Path, path: str
) -> None:
    response = await browser.get(f"{ORIGIN}{path}")
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert "screen" not in response.text


def test_every_page_of_the_screen_is_known() -> None:
    router = Path(__file__).parents[2] / "frontend" / "src" / "app" / "router.tsx"
    pages = re.findall(r'(?m)^  path: "/(.*)"', router.read_text())
    assert len(pages) > 8
    for page in pages:
        assert PAGE.fullmatch(page.replace("$", "")), page


async def test_a_look_at_the_link_leaves_it_unused(browser: httpx.AsyncClient, built: Path) -> None:
    looked = await browser.head("/?token=link-token")
    assert (looked.status_code, "set-cookie" in looked.headers) == (200, False)
    assert (await browser.get("/?token=link-token")).status_code == 303


async def test_a_link_out_of_the_screens_folder_is_not_followed(
    browser: httpx.AsyncClient, built: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (built / "leak.txt").symlink_to(tmp_path / "secret.txt")
    (built / "folder").symlink_to(tmp_path)
    for path in ("/leak.txt", "/folder/secret.txt", "/../secret.txt", "//etc/passwd.txt"):
        response = await browser.get(path)
        assert "secret" not in response.text.replace("/secret.txt", "")
        assert response.status_code in (400, 404)


@pytest.mark.parametrize(
    ("path", "location"), [("/runs", "/runs"), ("/runs/a", "/runs/a"), ("//runs", "/runs")]
)
async def test_a_link_opens_its_own_page_and_never_another_host(
    browser: httpx.AsyncClient, path: str, location: str
) -> None:
    response = await browser.get(f"{ORIGIN}{path}?token={TOKEN}")
    assert (response.status_code, response.headers["location"]) == (303, location)
