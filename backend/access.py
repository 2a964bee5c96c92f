"""Who may use the API: the bearer of a token, or a page that followed the one-time link."""

from __future__ import annotations

import hashlib
import hmac

from backend.scopes import Scope
from backend.tokens import TokenFile

Headers = list[tuple[bytes, bytes]]


def header(headers: Headers, name: bytes) -> str | None:
    """Return a header's value when it is given exactly once, else None."""
    found = [value for key, value in headers if key.lower() == name]
    return found[0].decode("latin-1") if len(found) == 1 else None


def has_header(headers: Headers, name: bytes) -> bool:
    """Whether a header is given at all."""
    return any(key.lower() == name for key, _ in headers)


class Access:
    """Knows the token of this process and those for programs, and whether the link has been used.

    The cookie holds a value derived from the token, so that a stolen cookie is not the token;
    its name carries the port, because browsers share cookies between the ports of a host.
    """

    def __init__(
        self, token: str, link_token: str, port: int, tokens: TokenFile | None = None
    ) -> None:
        self._token = token
        self._tokens = tokens
        self._link_token: str | None = link_token
        self.cookie_name = f"opd_session_{port}"
        self.cookie_value = hmac.new(token.encode(), b"session cookie", hashlib.sha256).hexdigest()

    def scope_of(self, headers: Headers) -> Scope | None:
        """What whoever sent a request may do; None where it carries nothing that opens anything."""
        scheme, _, value = (header(headers, b"authorization") or "").partition(" ")
        if scheme.lower() == "bearer":
            scope = self._scope_of_token(value.strip())
            if scope is not None:
                return scope
        return "write" if self.by_cookie(headers) else None

    def _scope_of_token(self, given: str) -> Scope | None:
        known = None if self._tokens is None else self._tokens.known
        is_reader = known is not None and _same(given, known.read)
        is_writer = known is not None and _same(given, known.write)
        if _same(given, self._token) or is_writer:
            return "write"
        return "read" if is_reader else None

    def by_cookie(self, headers: Headers) -> bool:
        """Whether the request carries the session cookie."""
        pairs = (header(headers, b"cookie") or "").split(";")
        values = [
            value.strip()
            for name, _, value in (pair.partition("=") for pair in pairs)
            if name.strip() == self.cookie_name
        ]
        return any(_same(value, self.cookie_value) for value in values)

    def redeem(self, token: str) -> bool:
        """Whether a link's token opens a session.

        The printed link works once. The token itself always works: its holder needs no link, and
        the desktop shell, which gets it by environment, opens new windows with it.
        """
        if self._link_token is not None and _same(token, self._link_token):
            self._link_token = None
            return True
        return _same(token, self._token)


def _same(given: str, wanted: str) -> bool:
    """Compare in a time that depends on neither text."""
    return hmac.compare_digest(
        hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest(),
        hashlib.sha256(wanted.encode()).digest(),
    )
