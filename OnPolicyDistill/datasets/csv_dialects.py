"""How a table's columns are set apart, found by reading its beginning in each way there is.

A way fits where every row comes out with as many columns as the first. Rows are read by Python's
own csv reader. clevercsv and csv.Sniffer guess from how often signs occur, and both read common
files wrong: decisions/0023 has the comparison.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

DELIMITERS = (",", ";", "\t", "|")
# Excel writes `sep=;` before a table, and takes it for no row of it.
SEPARATOR = "sep="
SAMPLED_ROWS = 500


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written; `has_separator` where a line `sep=;` stands before it.

    `is_named` says that its first row has a name of a column that is known here, `is_plain` that
    all of it are single words, and every row has as many cells.
    """

    delimiter: str = ","
    is_quoted: bool = True
    escape: str | None = None
    spaced: bool = False
    has_separator: bool = False
    is_named: bool = False
    is_plain: bool = False

    def rows(self, lines: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
        """Each row that holds anything, with the line where it begins, from 1.

        Raises:
            csv.Error: a row is no CSV.
        """
        reader = csv.reader(
            lines,
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.is_quoted else csv.QUOTE_NONE,
            escapechar=self.escape,
            doublequote=self.escape is None,
            skipinitialspace=self.spaced,
            strict=True,
        )
        line = 1
        for cells in reader:
            started, line = line, reader.line_num + 1
            if any(cell.strip() for cell in cells):
                yield started, cells

    def first_row(self, head: str) -> list[str]:
        """The first row of a table's beginning; nothing where there is none."""
        body = head.partition("\n")[2] if self.has_separator else head
        try:
            return next((cells for _, cells in self.rows(io.StringIO(body, newline=""))), [])
        except csv.Error:
            return []


def dialect_of(head: str, known: frozenset[str]) -> Dialect | None:
    """How the rows of a table's beginning are written; None where they have one column."""
    separator = separator_of(head)
    if separator is not None:
        return Dialect(separator, has_separator=True, is_named=True, is_plain=True)
    found = [(way, rows) for way in _ways(head) if (rows := _sampled(way, head))]
    for wanted in (_is_even_and_named, _is_uneven_and_named, _is_even):
        for way, rows in found:
            named, widths = _is_named(rows, known), [len(cells) for cells in rows]
            if wanted(named, widths):
                is_plain = len(set(widths)) == 1 and all(map(_is_word, rows[0]))
                one = max(widths) == 1
                return None if one else replace(way, is_named=named, is_plain=is_plain)
    return None


def separator_of(head: str) -> str | None:
    """What Excel's first line `sep=;` says, where there is one."""
    first = head.partition("\n")[0].strip("\r\n").strip('"')
    is_there = first[:4].lower() == SEPARATOR and len(first) == len(SEPARATOR) + 1
    return first[-1] if is_there else None


def _is_even_and_named(named: bool, widths: Sequence[int]) -> bool:
    return named and len(set(widths)) == 1


def _is_uneven_and_named(named: bool, widths: Sequence[int]) -> bool:
    return named and widths[0] > 1


def _is_even(named: bool, widths: Sequence[int]) -> bool:
    return widths[0] > 1 and len(widths) > 1 and len(set(widths)) == 1


def _ways(head: str) -> Iterator[Dialect]:
    for delimiter in DELIMITERS:
        spaced = f'{delimiter} "' in head
        if delimiter in head:
            yield Dialect(delimiter, spaced=spaced)
            if '\\"' in head:
                yield Dialect(delimiter, escape="\\", spaced=spaced)
    if "\t" in head and '"' in head:
        yield Dialect("\t", is_quoted=False)
    yield Dialect()


def _sampled(way: Dialect, head: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for _, cells in islice(way.rows(io.StringIO(head, newline="")), SAMPLED_ROWS):
            rows.append(cells)
    except csv.Error:
        # One that is broken in its first rows is not this way; further on it is told by its line.
        return rows if way.is_quoted and len(rows) > 1 and _is_common(way) else []
    return rows


def _is_word(cell: str) -> bool:
    return cell.strip().isidentifier()


def _is_common(way: Dialect) -> bool:
    return way.delimiter != "\t" and way.escape is None


def _is_named(rows: Sequence[Sequence[str]], known: frozenset[str]) -> bool:
    return bool(rows) and any(cell.strip().lower() in known for cell in rows[0])
