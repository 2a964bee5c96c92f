"""Data files of any form as records: each is an object or a problem in words, in bounded memory.

JSON lines, a JSON text, a table, plain text and parquet are told apart by what they hold
(file_forms); a folder stands for the set in it (set_files). Whoever checks, trains, converts or
shows a file reads it here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from OnPolicyDistill.datasets.csv_dialects import Dialect
from OnPolicyDistill.datasets.csv_lines import Table, read_csv
from OnPolicyDistill.datasets.file_forms import HEAD_BYTES, FileForm, form_of
from OnPolicyDistill.datasets.json_documents import read_document
from OnPolicyDistill.datasets.json_values import parse_line
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.datasets.set_files import set_files
from OnPolicyDistill.datasets.text_lines import head_of, raw_lines, read_text, text_of
from OnPolicyDistill.errors import DatasetError

# What tells the heading of a table: names that texts, prompts and conversations have here, and in
# the layouts that can be converted.
COLUMNS = frozenset(
    [
        "text",
        "input",
        "sentence",
        "prompt",
        "problem",
        "question",
        "instruction",
        "messages",
        "conversations",
        "completion",
        "response",
        "output",
        "chosen",
        "rejected",
        "context",
        "image",
        "images",
        "file_name",
    ]
)


def read_records(path: Path, columns: frozenset[str] = COLUMNS) -> Iterator[Record | BadLine]:
    """Yield every line, row or element that is not blank, with the line where it begins.

    Lines of a set that is cut into several files are counted through all of them. `columns` are
    names by which the heading of a table is recognized.

    Raises:
        DatasetError: the file does not exist or cannot be read.
    """
    line = 0
    for file in set_files(path):
        for found in _read_file(file, line + 1, columns):
            line = found.line
            yield found


def is_text(path: Path) -> bool:
    """Whether a file is plain text, each line of which is one; false where it cannot be read."""
    try:
        with path.open("rb") as stream:
            found = form_of(stream, path, COLUMNS)
    except OSError:
        return False
    return not isinstance(found, BadLine) and found[0] == "text"


def heading_of(path: Path) -> tuple[str, ...]:
    """The first row of a table, in lower case as its columns are called; of other files nothing.

    Raises:
        DatasetError: the file does not exist or cannot be read.
    """
    file = set_files(path)[0]
    with _opened(file) as stream:
        found = form_of(stream, file, COLUMNS)
        if isinstance(found, BadLine) or found[0] != "table":
            return ()
        head, _ = head_of(stream, HEAD_BYTES)
    dialect = found[1] or Dialect()
    return tuple(cell.strip().lower() for cell in dialect.first_row(head))


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        with file.open("rb") as stream:
            yield stream
    except FileNotFoundError as error:
        raise DatasetError("There is no such file.", "Check the path.", file) from error
    except OSError as error:
        raise DatasetError(f"It cannot be read ({error.strerror}).", "Check it.", file) from error


def _read_file(file: Path, first_line: int, columns: frozenset[str]) -> Iterator[Record | BadLine]:
    with _opened(file) as stream:
        found = form_of(stream, file, columns)
        if isinstance(found, BadLine):
            yield found
            return
        form, dialect = found
        if form == "table":
            table = Table(file, dialect or Dialect(), columns)
            yield from read_csv(stream, table, first_line)
            return
        yield from _of_form(form, stream, file, first_line)


def _of_form(
    form: FileForm, stream: BinaryIO, file: Path, first_line: int
) -> Iterator[Record | BadLine]:
    if form == "parquet":
        from OnPolicyDistill.datasets.parquet_rows import read_parquet  # noqa: PLC0415

        return read_parquet(file, first_line)
    if form == "json":
        return read_document(stream, file, first_line)
    if form == "text":
        return read_text(stream, file, first_line)
    return _read_lines(stream, file, first_line)


def _read_lines(stream: BinaryIO, file: Path, first_line: int) -> Iterator[Record | BadLine]:
    for line, raw in enumerate(raw_lines(stream), start=first_line):
        text = text_of(raw, line)
        if isinstance(text, BadLine):
            yield text
        elif text := text.strip():
            found = parse_line(text, line)
            yield Record(line, found.values, file) if isinstance(found, Record) else found
