"""The user's token for the hub, in the file where the hub's own command keeps it.

One place, so that downloads, training in a terminal and this program use the same token; it is
never sent back, logged, or put into a command line. A token in the environment comes first.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from huggingface_hub import constants, get_token

from backend.history.views import View
from backend.private_files import write_for_user_alone
from backend.problems import ConflictError, WrongFieldError

TokenSource = Literal["environment", "file"]
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")


class HubToken(View):
    """Whether the hub will be told who asks; never the token itself."""

    is_set: bool
    source: TokenSource | None = None
    file: str
    variable: str | None = None


def hub_token() -> HubToken:
    """Say whether there is a token, and where it comes from."""
    variable = _variable()
    source: TokenSource | None = None
    if get_token() is not None:
        source = "file" if variable is None else "environment"
    return HubToken(
        is_set=source is not None, source=source, file=constants.HF_TOKEN_PATH, variable=variable
    )


def set_hub_token(token: str) -> HubToken:
    """Keep a token for the user alone; takes the place of one that was kept before.

    Raises:
        WrongFieldError: no token looks like this.
        ConflictError: the environment has another one.
    """
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise WrongFieldError("body.token", "A token is one word, such as hf_ and 34 letters.")
    _refuse_environment()
    write_for_user_alone(Path(constants.HF_TOKEN_PATH), token)
    return hub_token()


def clear_hub_token() -> HubToken:
    """Forget the token that is kept; without one nothing changes.

    Raises:
        ConflictError: it is in the environment.
    """
    _refuse_environment()
    Path(constants.HF_TOKEN_PATH).unlink(missing_ok=True)
    return hub_token()


def _variable() -> str | None:
    return next((name for name in VARIABLES if os.environ.get(name, "").strip()), None)


def _refuse_environment() -> None:
    variable = _variable()
    if variable is not None:
        raise ConflictError(
            f"{variable} is set where this program was started, and comes first.",
            f"Start it without {variable}, or change it there.",
            code="token_in_environment",
        )
