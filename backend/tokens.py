"""Tokens for other programs, one that reads and one that writes: WORKSPACE/api_tokens.json.

They outlive the backend, so that a client keeps working, until the user changes them.
"""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from pydantic import Field, ValidationError

from backend.history.views import View
from backend.private_files import write_for_user_alone
from backend.scopes import Scope
from backend.settings import new_secret
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain

TOKENS_FILE = "api_tokens.json"
LETTERS = r"^[A-Za-z0-9_-]{16,200}$"


class ApiTokens(View):
    """The tokens as they are sent."""

    read: str = Field(pattern=LETTERS, description="Reads, and asks models under /v1.")
    write: str = Field(pattern=LETTERS, description="Does everything that the screen does.")


class TokenFile:
    """Makes the tokens when they are first needed; may be called from any thread."""

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / TOKENS_FILE
        self._lock = Lock()
        self._known = _read(self._file)

    @property
    def known(self) -> ApiTokens | None:
        """The tokens, None where nobody has asked for any yet."""
        return self._known

    def shown(self) -> ApiTokens:
        """Return the tokens, made now where there are none.

        Raises:
            DiskFullError: they cannot be kept.
        """
        with self._lock:
            return self._known or self._keep(ApiTokens(read=new_secret(), write=new_secret()))

    def rotate(self, scope: Scope) -> ApiTokens:
        """Put a new token in the place of one, which opens nothing from now on.

        Raises:
            DiskFullError: it cannot be kept; the old one stays.
        """
        before = self.shown()
        with self._lock:
            return self._keep(before.model_copy(update={scope: new_secret()}))

    def _keep(self, tokens: ApiTokens) -> ApiTokens:
        write_for_user_alone(self._file, tokens.model_dump_json())
        self._known = tokens
        return tokens


def _read(file: Path) -> ApiTokens | None:
    """What is kept; a damaged file counts as none."""
    try:
        return ApiTokens.model_validate_json(read_plain(file))
    except (FileNotFoundError, RunError, ValidationError):
        return None
