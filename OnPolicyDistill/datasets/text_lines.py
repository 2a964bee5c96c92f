"""The lines of a file as text: bounded, UTF-8 or what Excel calls Unicode, which is UTF-16."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.errors import DatasetError

MAX_LINE_BYTES = 1_000_000
# A line that holds pictures themselves, in base64.
MAX_PICTURE_LINE_BYTES = 64_000_000
PICTURE_MARK = b"data:image/"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
TEXT_KEY = "text"


def raw_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file in UTF-8 without a byte order mark; of a giant one its beginning.

    Raises:
        DatasetError: the file is damaged UTF-16.
    """
    start = stream.read(2)
    if start in UTF16_MARKS:
        stream.seek(0)
        yield from _of_utf16(stream)
        return
    stream.seek(0)
    for number, raw in enumerate(_bounded(stream)):
        yield raw if number else raw.removeprefix(BYTE_ORDER_MARK)


def text_of(raw: bytes, line: int) -> str | BadLine:
    """A line decoded, or why it is no text."""
    if len(raw) > MAX_LINE_BYTES and not _is_pictured(raw):
        limit = MAX_PICTURE_LINE_BYTES if PICTURE_MARK in raw else MAX_LINE_BYTES
        message = f"The line is longer than {limit:,} bytes."
        return BadLine(line, "giant_line", message, "Put one object on each line.")
    if b"\0" in raw:
        return BadLine(line, "nul", "The line holds a NUL byte.", "Save the file as UTF-8 text.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"Byte {error.start + 1} of the line is not UTF-8."
        fix = "Save the file as UTF-8; a spreadsheet calls it CSV UTF-8."
        return BadLine(line, "encoding", message, fix)


def read_text(stream: BinaryIO, file: Path, first_line: int) -> Iterator[Record | BadLine]:
    """Yield each line of a plain text that is not blank as a record of one text."""
    for line, raw in enumerate(raw_lines(stream), start=first_line):
        text = text_of(raw, line)
        if isinstance(text, BadLine):
            yield text
        elif text.strip():
            yield Record(line, {TEXT_KEY: text.strip()}, file, is_plain=True)


def head_of(stream: BinaryIO, num_bytes: int) -> tuple[str, bool]:
    """The beginning of a file as text, as far as it is one, and whether that is all of it.

    A line that is cut by the end is left out where another is whole. The stream stands at its
    start again.
    """
    start = stream.read(num_bytes)
    is_whole = len(start) < num_bytes
    stream.seek(0)
    encoding = "utf-16" if start.startswith(UTF16_MARKS) else "utf-8-sig"
    text = start.decode(encoding, errors="replace")
    if is_whole or "\n" not in text:
        return text, is_whole
    return text[: text.rindex("\n") + 1], False


def _is_pictured(raw: bytes) -> bool:
    """Whether a long line is so because of its pictures, and still bounded."""
    return len(raw) <= MAX_PICTURE_LINE_BYTES and PICTURE_MARK in raw


def _of_utf16(stream: BinaryIO) -> Iterator[bytes]:
    text = io.TextIOWrapper(stream, encoding="utf-16", newline="\n")
    try:
        while line := text.readline(MAX_LINE_BYTES):
            yield line.encode()
    except UnicodeError as error:
        raise DatasetError("It is damaged UTF-16.", "Save it as UTF-8.") from error
    finally:
        text.detach()


def _bounded(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines; of one that is too long, only its beginning."""
    limit = MAX_PICTURE_LINE_BYTES
    while raw := stream.readline(limit + 1):
        rest = raw
        while len(rest) > limit and not rest.endswith(b"\n"):
            rest = stream.readline(limit + 1)
        yield raw
