"""Data files line by line: each is a JSON object or a problem in words, in bounded memory.

JSONL is read here, parquet by parquet_rows; a folder stands for the set in it (set_files).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import JsonValue

from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.set_files import set_files
from OnPolicyDistill.errors import DatasetError

MAX_LINE_BYTES = 1_000_000
# A line that holds pictures themselves, in base64.
MAX_PICTURE_LINE_BYTES = 64_000_000
PICTURE_MARK = b"data:image/"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object, its 1-based line and the file; `pictures` are those of a parquet row."""

    line: int
    values: dict[str, JsonValue]
    origin: Path | None = None
    pictures: tuple[PictureSource, ...] = ()


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used: a code for programs, what is wrong, and what to do."""

    line: int
    code: str
    message: str
    fix: str


def read_records(path: Path) -> Iterator[Record | BadLine]:
    """Yield every line that is not blank; a byte order mark and CRLF are tolerated.

    Lines of a set that is cut into several files are counted through all of them.

    Raises:
        DatasetError: the file does not exist or cannot be read.
    """
    line = 0
    for file in set_files(path):
        for found in _read_file(file, line + 1):
            line = found.line
            yield found


def _read_file(file: Path, first_line: int) -> Iterator[Record | BadLine]:
    if file.suffix.lower() == ".parquet":
        from OnPolicyDistill.datasets.parquet_rows import read_parquet  # noqa: PLC0415

        yield from read_parquet(file, first_line)
        return
    try:
        with file.open("rb") as stream:
            for line, raw in enumerate(_bounded_lines(stream), start=first_line):
                text = raw.removeprefix(BYTE_ORDER_MARK) if line == first_line else raw
                if text := text.strip():
                    found = parse_line(text, line)
                    if isinstance(found, Record):
                        found = Record(line, found.values, file)
                    yield found
    except FileNotFoundError as error:
        raise DatasetError("There is no such file.", "Check the path.", file) from error
    except OSError as error:
        raise DatasetError(f"It cannot be read ({error.strerror}).", "Check it.", file) from error


def parse_line(raw: bytes, line: int) -> Record | BadLine:
    """Parse one line without its newline."""
    problem = _undecodable(raw, line)
    if problem is not None:
        return problem
    text = raw.decode("utf-8")
    try:
        value: JsonValue = DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        message = "A text has half of a surrogate pair, which no text can hold."
        return BadLine(line, "encoding", message, "Write the character itself.")
    except (ValueError, RecursionError) as error:
        return _bad_json(line, text, error)
    if not isinstance(value, dict):
        message = f"The line is {_kind(value)}, not an object."
        return BadLine(line, "not_object", message, 'Write {"prompt": "..."} on each line.')
    return Record(line, value)


def _undecodable(raw: bytes, line: int) -> BadLine | None:
    limit = MAX_PICTURE_LINE_BYTES if PICTURE_MARK in raw else MAX_LINE_BYTES
    if len(raw) > limit:
        message = f"The line is longer than {limit:,} bytes."
        return BadLine(line, "giant_line", message, "Put one object on each line.")
    if raw.startswith(UTF16_MARKS):
        return BadLine(line, "encoding", "The file is UTF-16.", "Save it as UTF-8.")
    if b"\0" in raw:
        return BadLine(line, "nul", "The line holds a NUL byte.", "Save the file as UTF-8 text.")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"Byte {error.start + 1} of the line is not UTF-8."
        return BadLine(line, "encoding", message, "Save the file as UTF-8.")
    return None


def _bad_json(line: int, text: str, error: Exception) -> BadLine:
    if isinstance(error, RecursionError):
        return BadLine(line, "broken_json", "The line is nested too deeply.", "Flatten it.")
    if text == "[" or (line == 1 and text.startswith("[")):
        fix = "Write one object a line, without brackets around them and commas between."
        return BadLine(line, "broken_json", "The file is a JSON array, not JSON lines.", fix)
    if text[:1] not in ("{", "[", '"'):
        message = "The line is text or CSV, not JSON."
        return BadLine(line, "broken_json", message, "Write one JSON object on each line.")
    where = ""
    if isinstance(error, json.JSONDecodeError):
        where = f": {error.msg.removesuffix(' at')} at column {error.colno}"
    message = f"The line is not valid JSON{where}."
    return BadLine(line, "broken_json", message, "Check quotes, commas and escapes.")


def _bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines; of one that is too long, only its beginning."""
    limit = MAX_PICTURE_LINE_BYTES
    while raw := stream.readline(limit + 1):
        rest = raw
        while len(rest) > limit and not rest.endswith(b"\n"):
            rest = stream.readline(limit + 1)
        yield raw


def _kind(value: JsonValue) -> str:
    if value is None:
        return "null"
    kinds = {list: "an array", str: "a string", bool: "true or false"}
    return kinds.get(type(value), "a number")
