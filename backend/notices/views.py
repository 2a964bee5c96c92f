"""What a notice says, where it goes, and how the last one fared."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from backend.history.views import View

MAX_URL = 2_000
Ending = Literal["finished", "failed", "interrupted"]
_WORDS: dict[Ending, str] = {
    "finished": "has finished",
    "failed": "has failed",
    "interrupted": "was interrupted",
}


class NoticeSettings(View):
    """Where notices go."""

    webhook_url: str | None = Field(
        None, max_length=MAX_URL, description="http or https; null sends nothing."
    )

    @field_validator("webhook_url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"this is no address: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError("an address begins with http:// or https:// and names a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a name and a password in an address are not sent; leave them out")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("an address has plain letters alone")
        return url


class Delivery(View):
    """How the last notice fared."""

    when: float = Field(description="Unix time.")
    run_id: str | None = Field(description="Null for a trial.")
    was_taken: bool
    words: str = Field(description="What was answered, or why nothing was.")


class NoticesView(View):
    """Where notices go, and how the last one fared since this backend began."""

    settings: NoticeSettings
    last: Delivery | None = None


class NoticedRun(View):
    """All that is told of a run: no prompts, no completions, no figures, no folders."""

    id: str
    name: str
    method: str
    state: Ending
    step: int
    num_steps: int | None


class Notice(View):
    """The body of a webhook; `text` is what chat programs show."""

    event: Literal["run_ended", "trial"]
    text: str
    sent: float = Field(description="Unix time.")
    run: NoticedRun | None = None


def words_of(name: str, state: Ending) -> str:
    """One sentence on a run that has ended."""
    return f"The run “{name}” {_WORDS[state]}."
