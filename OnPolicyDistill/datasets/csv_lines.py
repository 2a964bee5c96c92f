"""Tables row by row, each row with the line where it begins, or what is wrong with it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from OnPolicyDistill.datasets.csv_dialects import Dialect
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.datasets.text_lines import TEXT_KEY, raw_lines, text_of

Row = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class Table:
    """A file as a table: how it is written, and the names that tell its heading."""

    file: Path
    dialect: Dialect
    known: frozenset[str]


class _NoTextError(Exception):
    """A line that is no text."""

    def __init__(self, problem: BadLine) -> None:
        super().__init__(problem.message)
        self.problem = problem


def read_csv(stream: BinaryIO, table: Table, first_line: int) -> Iterator[Record | BadLine]:
    """Yield each row as a record of its columns.

    The first row names the columns, in any case; where `known` has numbers, the columns are called
    by theirs, from 1. A file of one column needs no name: it is a list of texts.
    """
    lines = _lines(stream, first_line)
    skipped = int(table.dialect.has_separator)
    if skipped:
        next(lines, None)
    rows = _rows(table.dialect, lines, first_line + skipped)
    first = next(rows, None)
    if first is None or isinstance(first, BadLine):
        yield from () if first is None else (first,)
        return
    heading = _heading(first, table.known)
    if heading is None:
        yield _without_names(first)
        return
    names, is_row = heading
    for row in chain((first,) if is_row else (), rows):
        yield row if isinstance(row, BadLine) else _record(row, names, table.file)


def _heading(first: Row, known: frozenset[str]) -> tuple[list[str], bool] | None:
    """Names of the columns, and whether the first row is no heading; None where it has to be."""
    cells = [cell.strip() for cell in first[1]]
    names = [cell.lower() for cell in cells]
    if any(name in known for name in names):
        return names, False
    if any(name.isdigit() for name in known):
        return [str(number) for number in range(1, len(cells) + 1)], True
    return ([TEXT_KEY], True) if len(cells) == 1 else None


def _record(row: Row, names: list[str], file: Path) -> Record | BadLine:
    line, cells = row
    if len(cells) > len(names):
        message = f"The line has {len(cells)} columns, but there are {len(names)}."
        return BadLine(line, "columns", message, "Put texts with commas in quotes.")
    values = zip(names, cells, strict=False)
    return Record(line, {name: cell for name, cell in values if cell}, file)


def _lines(stream: BinaryIO, first_line: int) -> Iterator[str]:
    for line, raw in enumerate(raw_lines(stream), start=first_line):
        text = text_of(raw, line)
        if isinstance(text, BadLine):
            raise _NoTextError(text)
        yield text.replace("\r\n", "\n") if "\r" in text else text


def _rows(dialect: Dialect, lines: Iterator[str], first_line: int) -> Iterator[Row | BadLine]:
    line = first_line
    try:
        for started, cells in dialect.rows(lines):
            line = first_line + started - 1
            yield line, cells
            line += 1
    except csv.Error as error:
        message = f"The line is not valid CSV: {error}."
        yield BadLine(line, "broken_csv", message, "Check its quotes; nothing behind it is read.")
    except _NoTextError as error:
        yield error.problem


def _without_names(first: Row) -> BadLine:
    line, cells = first
    message = f"No column is named text or prompt; the first line has: {', '.join(cells)[:80]}."
    fix = (
        "Name the columns in the first line: text,label. Or say which is which: "
        "opd data convert IN OUT --map prompt=NAME, with a column's number where none has a name."
    )
    return BadLine(line, "no_text", message, fix)
