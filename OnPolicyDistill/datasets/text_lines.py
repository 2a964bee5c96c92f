"""The lines of a plain text file, or the first of them that is no text."""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.datasets.records import BYTE_ORDER_MARK, BadLine
from OnPolicyDistill.errors import DatasetError


def text_lines(path: Path) -> list[str] | BadLine:
    """The file's lines with their newlines, decoded; or the first that is no text.

    Raises:
        DatasetError: the file cannot be read at all.
    """
    try:
        data = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    except FileNotFoundError as error:
        raise DatasetError("There is no such file.", "Check the path.", path) from error
    except OSError as error:
        raise DatasetError(f"It cannot be read ({error.strerror}).", "Check it.", path) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return BadLine(line, "encoding", "The line is not UTF-8.", "Save the file as UTF-8.")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        return BadLine(line, "nul", "The line holds a NUL byte.", "Save it as UTF-8 text.")
    return [part + "\n" for part in text.replace("\r\n", "\n").removesuffix("\n").split("\n")]
