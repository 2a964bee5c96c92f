"""Where rows of unequal length lie in the columns of a cache, and what their queries may see.

Rows end in the same column and begin where their length says, so that one slice writes a decode
step's keys of every row, and the last columns are every row's last tokens:

    row 0   . . a b c | d      padding 2
    row 1   e f g h i | j      padding 0

Rows without padding keep MLX's fast attention paths (no mask, or "causal"), which mlx-lm's own
batched caches give up. Offsets and masks are made once a step and shared by all layers.

Letters: B rows, C columns (capacity), T columns in use, L new columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import mlx.core as mx
from mlx_lm.models.base import create_causal_mask

Mask = mx.array | Literal["causal"] | None

GROWTH_COLUMNS = 256


class RowLayout:
    """How many columns at the left of each row are padding; the layers of a batch share it.

    A row's shift is how far the position of its next word is from the number of its tokens, which
    pictures bring about (models/places.py); whoever reads pictures sets `shifts` anew.
    """

    def __init__(self, padding: Sequence[int], shifts: Sequence[int] | None = None) -> None:
        self.padding = tuple(padding)
        self.shifts = (0,) * len(self.padding) if shifts is None else tuple(shifts)
        self.is_ragged = any(padding)
        self._first = mx.array(self.padding)  # (B,)
        self._offset = (-1, self._first)
        self._valid = mx.zeros((len(self.padding), 0), dtype=mx.bool_)  # (B, C)

    def offset(self, length: int) -> int | mx.array:
        """Position of the next token when `length` columns are in use: an int, or (B,)."""
        if not self.is_ragged:
            return length
        if self._offset[0] != length:
            self._offset = (length, length - self._first)
        return self._offset[1]

    def next_positions(self, length: int) -> mx.array:
        """Position of each row's next word when `length` columns are in use, (B, 1)."""
        ahead = [shift - pad for shift, pad in zip(self.shifts, self.padding, strict=True)]
        return (length + mx.array(ahead))[:, None]

    def mask(self, num_new: int, length: int) -> Mask:
        """What queries in `num_new` columns after `length` may see; an array is (B, 1, 1, T)."""
        if not self.is_ragged:
            return None if num_new == 1 else "causal"
        assert num_new == 1, "rows of unequal length only decode; prefill pads on the right"
        if length >= self._valid.shape[1]:
            columns = rounded_up(length + 1)
            self._valid = mx.arange(columns) >= self._first[:, None]
        return self._valid[:, None, None, : length + 1]


def causal(num_new: int, num_before: int, window: int | None) -> mx.array:
    """Which of the columns before and among new ones each new one sees, (L, T + L)."""
    mask: mx.array = create_causal_mask(num_new, num_before, window_size=window)
    return mask


def windowed(mask: Mask, num_columns: int, window: int | None) -> Mask:
    """A decode step's mask over so many columns, cut to the last `window` of them."""
    if window is None or num_columns <= window:
        return mask
    inside = mx.arange(num_columns)[None] >= num_columns - window  # (1, T)
    return mask & inside if isinstance(mask, mx.array) else inside


def rounded_up(columns: int) -> int:
    """So many columns or a few more: a buffer grows by GROWTH_COLUMNS at a time."""
    return -(-columns // GROWTH_COLUMNS) * GROWTH_COLUMNS
