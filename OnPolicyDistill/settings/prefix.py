"""How much of a completion is learned: all of it, a number of tokens, a share, or what pays off."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field

ALL, AUTO = "all", "auto"
_NUMBER = re.compile(r"[1-9][0-9]{0,5}%?")
WHOLE_SHARE = 100


def _checked(given: object) -> object:
    """A text that means something; whole numbers may be written as such."""
    text = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if not isinstance(text, str):
        return text
    is_share = text.endswith("%")
    if text in (ALL, AUTO) or (
        _NUMBER.fullmatch(text) and not (is_share and int(text[:-1]) > WHOLE_SHARE)
    ):
        return text
    raise ValueError("all, auto, a number of tokens or a share such as 30% is wanted")


LossTokens = Annotated[
    str,
    BeforeValidator(_checked),
    Field(
        title="Tokens learned of a completion",
        description="Positions of a completion that are learned, from its first: all, a number, a "
        "share of the longest completion such as 30%, or auto, which follows where the held-out "
        "divergence lies. Completions are sampled only that far; held-out ones stay whole.",
    ),
]


def learned_tokens(loss_tokens: str, longest: int, chosen: int | None) -> int:
    """How many positions are learned of completions of at most `longest` tokens, 1 at least.

    `chosen` is what auto found by now; until it found something, all are learned.
    """
    if loss_tokens == AUTO:
        return min(chosen or longest, longest)
    if loss_tokens == ALL:
        return longest
    if loss_tokens.endswith("%"):
        return -(-longest * int(loss_tokens[:-1]) // WHOLE_SHARE)
    return min(int(loss_tokens), longest)
