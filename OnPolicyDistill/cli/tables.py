"""How a table fits a terminal: which columns it goes without, and which one goes on in more lines.

Widths are in characters, two blanks between columns.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

BETWEEN = 2
# A column narrower than that is read worse than not at all.
LEAST_WRAPPED = 24


def widths_of(table: Sequence[Sequence[str]]) -> list[int]:
    """The widest cell of each column of a table of rows."""
    return [max(map(len, column)) for column in zip(*table, strict=True)]


def fitting(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    spare: Sequence[str],
    wrapped: str | None,
    width: int,
) -> list[str]:
    """The columns that fit into a width, without as few of the `spare` ones as will do.

    `wrapped` counts as narrow as it may become.
    """
    needed = dict(zip(columns, widths_of([columns, *rows]), strict=True))
    if wrapped is not None:
        needed[wrapped] = min(needed[wrapped], LEAST_WRAPPED)
    for name in spare:
        if _total(list(needed.values())) <= width:
            break
        del needed[name]
    return list(needed)


def wrap_column(table: Sequence[Sequence[str]], place: int, width: int) -> list[list[str]]:
    """Rows whose cells in one column are as narrow as the width asks; the rest in rows below."""
    widths = widths_of(table)
    room = max(width - (_total(widths) - widths[place]), LEAST_WRAPPED)
    wrapped: list[list[str]] = []
    for row in table:
        first, *more = _lines(row[place], room)
        wrapped.append([*row[:place], first, *row[place + 1 :]])
        blank = [""] * len(row)
        wrapped.extend([*blank[:place], line, *blank[place + 1 :]] for line in more)
    return wrapped


def _lines(cell: str, room: int) -> list[str]:
    """A cell in lines; an address stays whole, so that it can be opened."""
    lines = textwrap.wrap(cell, room, break_long_words=False, break_on_hyphens=False)
    return lines or [""]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + BETWEEN * (len(widths) - 1)
