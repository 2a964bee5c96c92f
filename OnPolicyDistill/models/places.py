"""Where words and pictures stand in a batch of token ids: positions, and rows of feature tables.

Multimodal rotary positions (Qwen2-VL, arXiv 2409.12191): a word has one position three times. The
places of a picture share the moment and differ in row and column, and the word behind them goes on
from the largest of the three. A row's *shift* is how far its next word is from its column by then:
the sum over its pictures of max(height, width) - places, never positive for real pictures.

Letters: B rows, T columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from OnPolicyDistill.errors import ModelError, RunError
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Picture, PictureBook

Tokens = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Places:
    """What a pass needs to know of its tokens beside the tokens.

    `pictures` are the pictures in it, each once. `rows` (B, T) number the places of all of them
    one after the other, and are -1 where a word stands. `positions` are (3, B, T); `shifts` are
    the rows' shifts behind the last column.
    """

    pictures: tuple[Picture, ...]
    rows: Tokens
    positions: Tokens
    shifts: tuple[int, ...]


def find_places(
    tokens: Tokens, book: PictureBook, starts: Sequence[int], shifts: Sequence[int], place_size: int
) -> Places:
    """Find pictures among tokens (B, T); row b's first column is its token `starts[b]`.

    A picture may begin before the first column or end behind the last one.

    Raises:
        RunError: a picture is not whole, or is not known in this process.
        ModelError: a picture was prepared for places of another size.
    """
    columns = np.asarray(starts)[:, None] + np.arange(tokens.shape[1])[None]
    positions = np.broadcast_to(columns, (3, *tokens.shape)).copy()
    rows = np.full(tokens.shape, -1, dtype=np.int64)
    firsts: dict[str, int] = {}
    pictures: list[Picture] = []
    after = list(shifts)
    for b, row in enumerate(tokens):
        positions[:, b] += after[b]
        column = 0
        while (column := _next_place(row, column)) < len(row):
            picture, place = book.find(int(row[column]))
            if picture.digest not in firsts:
                firsts[picture.digest] = sum(known.num_places for known in pictures)
                pictures.append(picture)
            end = column + _run_length(row[column:], picture, place)
            seen = np.arange(place, place + end - column)
            rows[b, column:end] = firsts[picture.digest] + seen
            height, width = _grid(picture, place_size)
            positions[:, b, column:end] += _within(seen, width)
            if seen[-1] == picture.num_places - 1:
                change = max(height, width) - picture.num_places
                positions[:, b, end:] += change
                after[b] += change
            column = end
    return Places(tuple(pictures), rows, positions, tuple(after))


def _next_place(row: Tokens, column: int) -> int:
    """The first column from `column` on that holds a place, or the number of columns."""
    found = np.flatnonzero(row[column:] >= FIRST_PICTURE_ID)
    return column + int(found[0]) if found.size else len(row)


def _within(seen: Tokens, width: int) -> Tokens:
    """How far moment, row and column of places are from their columns in the text, (3, n)."""
    return np.stack([0 * seen, seen // width, seen % width]) - seen


def _run_length(row: Tokens, picture: Picture, place: int) -> int:
    """How many columns the picture goes on for, all that are left of it or of the row."""
    length = min(picture.num_places - place, len(row))
    if not np.array_equal(row[:length], row[0] + np.arange(length)):
        raise RunError(
            f"A picture of {picture.num_places} places was cut inside a prompt.",
            "Report this as a bug: a prompt that is too long is left out, never cut.",
        )
    return length


def _grid(picture: Picture, place_size: int) -> tuple[int, int]:
    height, width = picture.height // place_size, picture.width // place_size
    if height * width != picture.num_places:
        raise ModelError(
            f"A picture was cut into {picture.num_places} places, but the model reads "
            f"{height} x {width} of them.",
            "Use a student and a teacher whose patches have one size.",
        )
    return height, width
