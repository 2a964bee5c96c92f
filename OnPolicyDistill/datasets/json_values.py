"""JSON text decoded strictly: what JSON readers let pass in silence is named instead.

A key that is there twice, numbers that no float64 holds, NaN and Infinity, half a surrogate pair.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.datasets.text_lines import BYTE_ORDER_MARK

# The largest float64 has 309 digits.
MAX_DIGITS = 309
MARK = BYTE_ORDER_MARK.decode()
NUMBER_FIX = "Write a number that fits, or a text in quotes."


class NamedError(ValueError):
    """Why a text is not taken although its brackets and quotes are right."""

    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(message)
        self.code, self.message, self.fix = code, message, fix


def _refuse_constant(name: str) -> float:
    message = f"{name} is no JSON number."
    raise NamedError("no_number", message, "Write null, or leave the key out.")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        message = f"The number {digits[:20]} is larger than any that float64 holds."
        raise NamedError("huge_number", message, NUMBER_FIX)
    return value


def _whole(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        message = f"A number has {len(digits):,} digits; float64 holds at most {MAX_DIGITS}."
        raise NamedError("huge_number", message, NUMBER_FIX)
    return int(digits)


def _unique(pairs: Sequence[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"The key {twice[:40]!r} is there {names.count(twice)} times."
        raise NamedError("duplicate_key", message, "Keep one of them.")
    return values


DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_refuse_constant,
    parse_float=_finite,
    parse_int=_whole,
)


def decoded(text: str) -> JsonValue:
    """The value of a whole text.

    Raises:
        ValueError: it is no JSON; a NamedError where the reason is more than its spelling.
        RecursionError: it is nested too deeply.
    """
    value: JsonValue = DECODER.decode(text)
    if "\\u" in text:
        _refuse_halves(value)
    return value


def parse_line(text: str, line: int) -> Record | BadLine:
    """The object of one line, or what is wrong with it."""
    try:
        value = decoded(text)
    except (ValueError, RecursionError) as error:
        return why_broken(line, text, error)
    return record_of(value, line)


def record_of(value: JsonValue, line: int) -> Record | BadLine:
    """A value as a record, unless it is no object."""
    if isinstance(value, dict):
        return Record(line, value)
    message = f"The line is {_kind(value)}, not an object."
    return BadLine(line, "not_object", message, 'Write {"prompt": "..."} on each line.')


def why_broken(line: int, text: str, error: Exception) -> BadLine:
    """What keeps a text from being JSON, by what the decoder said of it."""
    if isinstance(error, NamedError):
        return BadLine(line, error.code, error.message, error.fix)
    if isinstance(error, RecursionError):
        return BadLine(line, "broken_json", "The line is nested too deeply.", "Flatten it.")
    cause = next((cause for cause in _causes(text)), None)
    if cause is not None:
        return BadLine(line, *cause)
    where = ""
    if isinstance(error, json.JSONDecodeError):
        where = f": {error.msg.removesuffix(' at')} at column {error.colno}"
    message = f"The line is not valid JSON{where}."
    return BadLine(line, "broken_json", message, "Check quotes, commas and escapes.")


def _causes(text: str) -> Iterator[tuple[str, str, str]]:
    """Code, message and fix of what is known to come from a whole file's form."""
    if text.startswith(MARK):
        message = "The line begins with a byte order mark, as where files were put together."
        yield "inner_mark", message, "Remove that character."
    if "\r" in text and text.startswith("{"):
        message = "The lines end with CR alone, so all of them are one."
        yield "cr_lines", message, "Save the file with line ends of LF or CRLF."
    if text == "[":
        message = "The file is a JSON array that does not come to its end."
        yield "broken_json", message, "Check its brackets and commas."
    if text[:1] not in ("{", "[", '"'):
        message = "The line is text or CSV, not JSON."
        yield "broken_json", message, "Write one JSON object on each line."


def _refuse_halves(value: JsonValue) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        message = "A text has half of a surrogate pair, which no text can hold."
        raise NamedError("encoding", message, "Write the character itself.") from error


def _kind(value: JsonValue) -> str:
    if value is None:
        return "null"
    kinds = {list: "an array", str: "a string", bool: "true or false"}
    return kinds.get(type(value), "a number")
