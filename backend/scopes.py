"""What a token may do: read, or read and write; every route has one of the two.

By its method, and what is said here: a route that nobody thought of here asks for `write` as soon
as it is more than a GET.
"""

from __future__ import annotations

import re
from typing import Literal

Scope = Literal["read", "write"]

READING = ("GET", "HEAD", "OPTIONS")
# Questions with a body: they work something out and keep nothing.
ANSWERED = re.compile(
    r"/v1/(?:chat/)?completions|/api/configs/(?:check|parse)|/api/(?:plan|check|pair)"
)
# What a read token must not see: it would be more than a read token then.
SECRET = re.compile(r"/api/(?:tokens|notices)(?:/.*)?")


def scope_of(method: str, path: str) -> Scope:
    """Return what a request needs."""
    if SECRET.fullmatch(path):
        return "write"
    return "read" if method in READING or ANSWERED.fullmatch(path) else "write"
