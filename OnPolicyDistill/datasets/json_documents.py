"""A file that is one JSON text: an array of objects, one object, or one that holds the array."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pydantic import JsonValue

from OnPolicyDistill.datasets.json_values import DECODER, decoded, record_of, why_broken
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.datasets.text_lines import BYTE_ORDER_MARK, UTF16_MARKS
from OnPolicyDistill.errors import DatasetError

# A document is read whole; lines of any number are not.
MAX_DOCUMENT_BYTES = 256_000_000
SPACE = " \t\r\n"


def read_document(stream: BinaryIO, file: Path, first_line: int) -> Iterator[Record | BadLine]:
    """Yield the objects of a document, each with the line where it begins.

    Raises:
        DatasetError: the file is too large to be read whole.
    """
    data = stream.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        message = f"It is one JSON text of more than {MAX_DOCUMENT_BYTES // 1_000_000} MB."
        raise DatasetError(message, "Write one object on each line (JSONL).", file)
    text = _text(data)
    if text is None:
        message = "The file is neither UTF-8 nor marked as UTF-16."
        yield BadLine(first_line, "encoding", message, "Save the file as UTF-8.")
    elif text.lstrip(SPACE).startswith("["):
        yield from _elements(text.rstrip(SPACE), file, first_line)
    else:
        yield from _of_object(text.rstrip(SPACE), file, first_line)


def _text(data: bytes) -> str | None:
    try:
        if data.startswith(UTF16_MARKS):
            return data.decode("utf-16")
        return data.removeprefix(BYTE_ORDER_MARK).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _elements(text: str, file: Path, first_line: int) -> Iterator[Record | BadLine]:
    """The elements of an array, decoded one after the other."""
    place = _behind(text, text.index("[") + 1)
    line, counted = first_line, 0
    while text[place : place + 1] != "]":
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, place = DECODER.raw_decode(text, place)
            if "\\u" in text[counted:place]:
                decoded(text[counted:place])
            place = _next(text, place)
        except (ValueError, RecursionError) as error:
            yield _broken(line, text, error, first_line)
            return
        yield _placed(record_of(value, line), file)
    if _behind(text, place + 1) < len(text):
        message = "Something stands behind the end of the JSON array."
        line = first_line + text.count("\n", 0, _behind(text, place + 1))
        yield BadLine(line, "broken_json", message, "Put all objects inside its brackets.")


def _of_object(text: str, file: Path, first_line: int) -> Iterator[Record | BadLine]:
    """The one object of a file; or those of the only list in it, as in {"data": [...]}."""
    try:
        value = decoded(text)
    except (ValueError, RecursionError) as error:
        yield _broken(first_line, text.strip(SPACE), error, first_line)
        return
    assert isinstance(value, dict)
    inside = _wrapped(value)
    for found in [value] if inside is None else inside:
        yield _placed(record_of(found, first_line), file)


def _wrapped(value: dict[str, JsonValue]) -> list[JsonValue] | None:
    """The objects of a data set that is packed with facts about itself."""
    names = ("data", "rows", "examples", "train", "items", "records")
    lists = [
        found
        for name, found in value.items()
        if name.lower() in names and isinstance(found, list) and _are_objects(found)
    ]
    return lists[0] if len(lists) == 1 else None


def _are_objects(found: list[JsonValue]) -> bool:
    return bool(found) and all(isinstance(item, dict) for item in found)


def _next(text: str, place: int) -> int:
    """Where the next element begins, or the array's end stands."""
    place = _behind(text, place)
    if text[place : place + 1] == ",":
        return _behind(text, place + 1)
    if text[place : place + 1] != "]":
        raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
    return place


def _behind(text: str, place: int) -> int:
    while place < len(text) and text[place] in SPACE:
        place += 1
    return place


def _placed(found: Record | BadLine, file: Path) -> Record | BadLine:
    return Record(found.line, found.values, file) if isinstance(found, Record) else found


def _broken(line: int, text: str, error: Exception, first_line: int) -> BadLine:
    if isinstance(error, json.JSONDecodeError):
        where = f"{error.msg.removesuffix(' at')} at column {error.colno}"
        message = f"The file is one JSON text, and not valid: {where}."
        fix = "Check quotes, commas and brackets; nothing behind it is read."
        return BadLine(first_line + error.lineno - 1, "broken_json", message, fix)
    return why_broken(line, text, error)
