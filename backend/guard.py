"""The guard, outermost: any page the user visits can reach 127.0.0.1, so nothing is trusted.

Pure ASGI, for http and websocket alike. What it lets through has our Host, our Origin, a token
(under /api), a bounded body of the right type, and JSON without traps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from backend.access import Access, Headers, has_header, header
from backend.json_limits import JsonRefusedError, check_json
from backend.problems import RefusedError, Writing, problem_of, write_problem
from backend.scopes import Scope, scope_of
from backend.settings import BackendSettings

OPEN_PATHS = ("/api/health",)
MUTATIONS = ("POST", "PUT", "PATCH", "DELETE")
JSON_TYPE = "application/json"
# Names of models have slashes, and OpenAI's client sends them encoded; here they stand last.
SLASHED_NAMES = b"/v1/models/"

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: "
    "blob:; font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
API_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
# The API's answers may be kept only where they say so in these words: the address names the bytes.
NEVER_CHANGES = "private, max-age=31536000, immutable"
HEADERS_OF_ALL = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


@dataclass(frozen=True, slots=True)
class Upload:
    """A path that takes a large body of another type, streamed instead of parsed."""

    path: re.Pattern[str]
    media_types: tuple[str, ...]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class LargeBody:
    """A path whose JSON may be larger than elsewhere; it is checked all the same."""

    path: re.Pattern[str]
    max_bytes: int


@dataclass(frozen=True, slots=True)
class Surface:
    """What stands first in paths that ask for a token, and how a refusal is written there."""

    roots: tuple[str, ...] = ("api",)
    write: Writing = write_problem


SURFACE = Surface()


class Guard:
    """Wraps an application; refuses before it is reached."""

    def __init__(
        self,
        app: ASGIApp,
        settings: BackendSettings,
        access: Access,
        uploads: tuple[Upload, ...] = (),
        large_bodies: tuple[LargeBody, ...] = (),
        surface: Surface = SURFACE,
    ) -> None:
        self.app = app
        self._surface = surface
        self._settings = settings
        self._access = access
        self._uploads = uploads
        self._large_bodies = large_bodies
        self._origins = (*settings.own_origins, *settings.dev_origins)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        sender = send if scope["type"] == "websocket" else _with_headers(scope["path"], send)
        try:
            self._admit(scope)
            if scope["type"] == "http":
                receive = await self._bounded(scope, receive)
        except RefusedError as refusal:
            await self._refuse(scope, refusal, sender)
            return
        await self.app(scope, receive, sender)

    def _admit(self, scope: Connection) -> None:
        headers: Headers = scope["headers"]
        host = header(headers, b"host")
        if host is None or host.lower() not in self._settings.own_hosts:
            raise RefusedError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "foreign_host",
                "This is not a host this backend answers for.",
                f"Use {self._settings.own_origins[0]}.",
            )
        self._check_origin(scope, headers)
        _check_path(scope)
        if is_under(scope["path"], self._surface.roots) and scope["path"] not in OPEN_PATHS:
            self._check_token(headers, scope_of(scope.get("method", "GET"), scope["path"]))

    def _check_origin(self, scope: Connection, headers: Headers) -> None:
        if has_header(headers, b"origin"):
            if header(headers, b"origin") not in self._origins:
                raise _forbidden("foreign_origin", "Another site may not use this backend.")
        elif scope["type"] == "websocket" and self._is_browser(headers):
            raise _forbidden("no_origin", "A browser's websocket must say which page opened it.")
        elif _is_api(scope["path"]) and header(headers, b"sec-fetch-site") in (
            "cross-site",
            "same-site",
        ):
            raise _forbidden("foreign_origin", "Another site may not use this backend.")

    def _is_browser(self, headers: Headers) -> bool:
        """Only browsers have our cookie or send fetch metadata."""
        metadata = any(key.lower().startswith(b"sec-fetch-") for key, _ in headers)
        return metadata or self._access.by_cookie(headers)

    def _check_token(self, headers: Headers, needed: Scope) -> None:
        given = self._access.scope_of(headers)
        if given is None:
            raise RefusedError(
                HTTPStatus.UNAUTHORIZED,
                "no_token",
                "The token is missing or wrong.",
                "Open the link that `opd serve` printed, or send the token as a bearer.",
            )
        if needed == "write" and given == "read":
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "read_only_token",
                "This token may read, and this would start, change or delete something.",
                "Send the token that writes; API and settings has both.",
            )

    async def _bounded(self, scope: Connection, receive: Receive) -> Receive:
        headers: Headers = scope["headers"]
        upload = next((rule for rule in self._uploads if rule.path.fullmatch(scope["path"])), None)
        limit = self._max_json_bytes(scope["path"]) if upload is None else upload.max_bytes
        length = header(headers, b"content-length")
        if length is not None and (not length.isdecimal() or int(length[:20]) > limit):
            raise _too_large(limit)
        if has_header(headers, b"transfer-encoding") or (length is not None and int(length) > 0):
            if scope["method"] in MUTATIONS:
                _check_type(headers, (JSON_TYPE,) if upload is None else upload.media_types)
        elif has_header(headers, b"content-type") and scope["method"] in MUTATIONS:
            _check_type(headers, (JSON_TYPE,) if upload is None else upload.media_types)
        if upload is not None:
            return _counted(receive, limit)
        return await _checked(receive, limit)

    def _max_json_bytes(self, path: str) -> int:
        found = next((rule for rule in self._large_bodies if rule.path.fullmatch(path)), None)
        return self._settings.max_json_bytes if found is None else found.max_bytes

    async def _refuse(self, scope: Connection, refusal: RefusedError, send: Send) -> None:
        """Answer a refused request; a refused websocket is never accepted."""
        headers = {}
        if refusal.status == HTTPStatus.UNAUTHORIZED:
            headers["www-authenticate"] = "Bearer"
        answer = self._surface.write(scope["path"], problem_of(refusal), headers)
        prefix = "http"
        if scope["type"] == "websocket":
            if "websocket.http.response" not in scope.get("extensions", {}):
                await send({"type": "websocket.close", "code": 1008, "reason": refusal.message})
                return
            prefix = "websocket.http"
        start = {"status": answer.status_code, "headers": answer.raw_headers}
        await send({"type": f"{prefix}.response.start", **start})
        await send({"type": f"{prefix}.response.body", "body": answer.body})


def is_under(path: str, roots: tuple[str, ...]) -> bool:
    """Whether a path is one of the roots or below it."""
    return path.split("/", 2)[1:2] in [[root] for root in roots]


def _is_api(path: str) -> bool:
    """Whether a path is answered to programs: ours, and those of a served teacher (teaching/)."""
    return is_under(path, ("api", "v1"))


def _check_path(scope: Connection) -> None:
    """Refuse the spellings that mean one path to us and another to a file system."""
    raw = bytes(scope.get("raw_path") or scope["path"].encode()).lower()
    if raw.startswith(SLASHED_NAMES):
        raw = raw.replace(b"%2f", b"/")
    encoded = any(trick in raw for trick in (b"%2f", b"%5c", b"%00", b"\\", b"%2e%2e"))
    if encoded or ".." in scope["path"].split("/") or not scope["path"].isprintable():
        raise RefusedError(
            HTTPStatus.BAD_REQUEST, "bad_path", "The path has parts that are not names."
        )


def _check_type(headers: Headers, allowed: tuple[str, ...]) -> None:
    given = (header(headers, b"content-type") or "").partition(";")[0].strip().lower()
    if given not in allowed:
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "wrong_content_type",
            f"The body must be {' or '.join(allowed)}.",
        )


def _forbidden(code: str, message: str) -> RefusedError:
    return RefusedError(HTTPStatus.FORBIDDEN, code, message)


def _too_large(limit: int) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "too_large",
        f"The body is larger than {limit / 1e6:g} MB.",
    )


async def _checked(receive: Receive, limit: int) -> Receive:
    """Read a whole JSON body, check it, and hand it on."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return _replay([message], receive)
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            break
    if body:
        try:
            check_json(bytes(body))
        except JsonRefusedError as error:
            raise RefusedError(HTTPStatus.BAD_REQUEST, "invalid_json", str(error)) from error
    return _replay([{"type": "http.request", "body": bytes(body), "more_body": False}], receive)


def _replay(messages: list[Message], receive: Receive) -> Receive:
    async def next_message() -> Message:
        return messages.pop(0) if messages else await receive()

    return next_message


def _counted(receive: Receive, limit: int) -> Receive:
    """Count a streamed body; the refusal surfaces where the application reads it."""
    total = 0

    async def next_message() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > limit:
            raise _too_large(limit)
        return message

    return next_message


def _with_headers(path: str, send: Send) -> Send:
    extra = list(HEADERS_OF_ALL)
    if _is_api(path):
        extra.append((b"content-security-policy", API_POLICY.encode()))
    else:
        extra.append((b"content-security-policy", PAGE_POLICY.encode()))

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = message.get("headers", [])
            kept = (b"cache-control", NEVER_CHANGES.encode()) in own
            unkept = [(b"cache-control", b"no-store")] if _is_api(path) and not kept else []
            message = {**message, "headers": [*own, *extra, *unkept]}
        await send(message)

    return sender
