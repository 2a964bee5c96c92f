"""JSON from outside: parsed once with limits, before anything that trusts it sees it."""

from __future__ import annotations

import json
import math

MAX_DEPTH = 64
MAX_NUMBER_CHARACTERS = 40
MAX_INTEGER = 2**63 - 1


class JsonRefusedError(ValueError):
    """Why a body is not accepted, in one sentence."""


def check_json(body: bytes) -> None:
    """Refuse what is no JSON, nests deeper than MAX_DEPTH, or has numbers nobody can mean.

    Raises:
        JsonRefusedError: with the reason.
    """
    try:
        value = json.loads(
            body,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded,
        )
    except JsonRefusedError:
        raise
    except RecursionError:
        raise JsonRefusedError(f"The JSON nests deeper than {MAX_DEPTH} levels.") from None
    except UnicodeDecodeError:
        raise JsonRefusedError("The body is not UTF-8 text.") from None
    except ValueError as error:
        raise JsonRefusedError(f"The body is not JSON: {error}.") from None
    _check_values(value)


def _refuse_constant(name: str) -> float:
    raise JsonRefusedError(f"{name} is not a number JSON knows.")


def _finite(text: str) -> float:
    value = float(text) if len(text) <= MAX_NUMBER_CHARACTERS else math.inf
    if not math.isfinite(value):
        raise JsonRefusedError(f"The number {text[:20]}... is too large or too long.")
    return value


def _bounded(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARACTERS or abs(int(text)) > MAX_INTEGER:
        raise JsonRefusedError(f"The number {text[:20]}... is too large.")
    return int(text)


def _check_values(value: object) -> None:
    """Walk without recursion: depth, and text that UTF-8 cannot carry."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner += [*item.keys(), *item.values()]
            elif isinstance(item, list):
                inner += item
            elif isinstance(item, str) and not _is_text(item):
                raise JsonRefusedError("The body has half a surrogate pair, which is no text.")
        level = inner
    raise JsonRefusedError(f"The JSON nests deeper than {MAX_DEPTH} levels.")


def _is_text(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
