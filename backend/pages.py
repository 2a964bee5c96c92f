"""The built screen, served from the same origin; and the link that opens a session."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from backend.access import Access
from backend.problems import NotFoundError, install_problem_handlers

INDEX = "index.html"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>OnPolicyDistill</title>
<style>body{{font:15px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>
<h1>{title}</h1><p>{text}</p></html>"""

NOT_BUILT = _PAGE.format(
    title="The screen is not built",
    text="This backend runs and its API answers under <code>/api</code>, but "
    "<code>frontend/dist</code> is not there. Build it with <code>make build</code> and reload.",
)
LINK_USED = _PAGE.format(
    title="This link was used before",
    text="A link with a token opens one session. Start <code>opd serve</code> again for a new "
    "one, or open the page where you are signed in already.",
)


# The screen's own pages (frontend/src/app/router.tsx); whatever else is asked for is not there.
PAGE = re.compile(
    r"(?:(?:runs|pipelines|new)(?:/[^/]+)?"
    r"|compare|models|data|playground|export|evaluate|settings|map)?/?"
)


def create_pages(frontend: Path, access: Access) -> Starlette:
    """Return the application for everything outside /api: the screen's pages and its files."""

    def page(request: Request) -> Response:
        path = str(request.path_params["path"])
        token = request.query_params.get("token")
        # To look whether a link is there, as chats do, is not to open it.
        if token is not None and request.method == "GET" and PAGE.fullmatch(path.lstrip("/")):
            return _open_session(request, access, token, path)
        return _file(frontend, path)

    pages = Starlette(routes=[Route("/{path:path}", page, methods=["GET"])])
    install_problem_handlers(pages)
    return pages


def _open_session(request: Request, access: Access, token: str, path: str) -> Response:
    """Trade the link's token for a cookie and take it out of the address bar."""
    if not access.by_cookie(request.scope["headers"]) and not access.redeem(token):
        return HTMLResponse(LINK_USED, status_code=401)
    # A path that began with a second slash would lead to another host.
    response = RedirectResponse("/" + path.lstrip("/\\"), status_code=303)
    response.set_cookie(
        access.cookie_name, access.cookie_value, httponly=True, samesite="strict", path="/"
    )
    response.headers["cache-control"] = "no-store"
    return response


def is_built(frontend: Path) -> bool:
    """Whether there are pages to serve."""
    return (frontend / INDEX).is_file()


def _file(frontend: Path, path: str) -> Response:
    index = frontend / INDEX
    if not index.is_file() and PAGE.fullmatch(path):
        return HTMLResponse(NOT_BUILT, status_code=503)
    file = (frontend / path).resolve()
    if file.is_file() and file.is_relative_to(frontend.resolve()):
        cached = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
        return FileResponse(file, headers={"cache-control": cached})
    if PAGE.fullmatch(path) is None:
        raise NotFoundError(f"There is nothing at /{path}.")
    return FileResponse(index, headers={"cache-control": "no-cache"})
