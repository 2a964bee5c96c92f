"""CSV files row by row, each row with the line where it begins, or what is wrong with it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain

from pydantic import JsonValue

from OnPolicyDistill.datasets.records import BadLine


def read_csv(
    lines: Sequence[str], text_names: Sequence[str]
) -> Iterator[tuple[int, dict[str, JsonValue]] | BadLine]:
    """Yield each row's line with its cells by column; `text_names` are those of the texts' column.

    The first row names the columns, in any case; a file of one column needs no names.
    """
    rows = _csv_rows(lines)
    first = next(rows, None)
    if first is None or isinstance(first, BadLine):
        yield from () if first is None else (first,)
        return
    header = [cell.strip().lower() for cell in first[1]]
    if not any(name in header for name in text_names):
        if len(header) > 1:
            yield _without_text_column(*first)
            return
        header, rows = [text_names[0]], chain((first,), rows)  # a list of texts without a heading
    for row in rows:
        if isinstance(row, BadLine):
            yield row
        elif len(row[1]) > len(header):
            message = f"The line has {len(row[1])} columns, but there are {len(header)}."
            yield BadLine(row[0], "columns", message, "Put texts with commas in quotes.")
        else:
            yield row[0], {key: cell for key, cell in zip(header, row[1], strict=False) if cell}


def _csv_rows(lines: Sequence[str]) -> Iterator[tuple[int, list[str]] | BadLine]:
    """The rows that hold anything, each with the line where it begins."""
    reader = csv.reader(lines, strict=True)
    line = 1
    try:
        for cells in reader:
            started, line = line, reader.line_num + 1
            if any(cell.strip() for cell in cells):
                yield started, cells
    except csv.Error as error:
        message = f"The line is not valid CSV: {error}."
        yield BadLine(line, "broken_csv", message, "Check its quotes; nothing behind it is read.")


def _without_text_column(line: int, cells: Sequence[str]) -> BadLine:
    message = f"No column is named text; the first line names {', '.join(cells)[:80]}."
    return BadLine(line, "no_text", message, "Name the columns in the first line: text,label.")
