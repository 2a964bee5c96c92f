"""Keys and values of rows of unequal length: the only module that knows mlx-lm's caches.

mlx-lm's models ask a layer's cache for three things: `offset`, `make_mask` and `update_and_fetch`.
`LayerCache` answers them for rows that end in the same column and begin where their length says,
so that one slice writes a decode step's keys of every row:

    row 0   . . a b c | d      padding 2
    row 1   e f g h i | j      padding 0

Rows without padding keep MLX's fast attention paths (no mask, or "causal"), which mlx-lm's own
batched cache gives up. Offsets and masks are made once a step and shared by all layers.

Letters: B rows, H key-value heads, C columns (capacity), T columns in use, L new columns, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.cache import KVCache, make_prompt_cache

from OnPolicyDistill.arrays import int_list
from OnPolicyDistill.errors import ModelError

Mask = mx.array | Literal["causal"] | None

Pair = tuple[mx.array, mx.array]  # keys and values

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
            columns = _rounded_up(length + 1)
            self._valid = mx.arange(columns) >= self._first[:, None]
        return self._valid[:, None, None, : length + 1]


class LayerCache:
    """One layer's keys and values (B, H, C, D), shaped as the models of mlx-lm expect a cache."""

    def __init__(self, layout: RowLayout, length: int = 0, held: Pair | None = None) -> None:
        self.layout = layout
        self.length = length
        self.held = held

    @property
    def offset(self) -> int | mx.array:
        """Position of the next token: a number, or (B,) when rows are of unequal length."""
        return self.layout.offset(self.length)

    @property
    def state(self) -> list[mx.array]:
        """Every array there is, to be evaluated."""
        return list(self.held or ())

    def make_mask(
        self, num_new: int, return_array: bool = False, window_size: int | None = None
    ) -> Mask:
        """The attention mask for `num_new` columns that are about to be written."""
        assert not return_array, "plain attention takes MLX's symbolic masks"
        assert window_size is None, "models with sliding windows are refused by RowCache.empty"
        return self.layout.mask(num_new, self.length)

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Append (B, H, L, D) and return everything so far, (B, H, T + L, D)."""
        first, self.length = self.length, self.length + keys.shape[2]
        held = (None, None) if self.held is None else self.held
        self.held = _written(held[0], keys, first), _written(held[1], values, first)
        return self.held[0][:, :, : self.length], self.held[1][:, :, : self.length]


class RowCache:
    """All layers' keys and values of a batch of rows; its operations return new caches."""

    def __init__(self, layers: list[LayerCache]) -> None:
        self.layers = layers

    @classmethod
    def empty(cls, model: nn.Module, num_rows: int) -> RowCache:
        """A cache without columns; ModelError where a layer keeps anything but keys and values."""
        theirs = make_prompt_cache(model)
        kinds = {type(cache) for cache in theirs}
        if not keeps_keys_and_values_only(model):
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise ModelError(
                f"The model keeps a state that batched sampling cannot handle ({names}).",
                "Choose a model with full attention in every layer, such as Qwen2.5 or Qwen3.",
            )
        layout = RowLayout([0] * num_rows)
        return cls([LayerCache(layout) for _ in theirs])

    @classmethod
    def of_prefix(cls, columns: Sequence[mx.array], num_rows: int) -> RowCache:
        """A cache whose rows all begin with one prefix, from what `prefix_columns` gave."""
        *pairs, shifts = columns
        layout = RowLayout([0] * num_rows, int_list(shifts) * num_rows)
        layers = []
        for keys, values in zip(pairs[::2], pairs[1::2], strict=True):
            held = mx.repeat(keys, num_rows, axis=0), mx.repeat(values, num_rows, axis=0)
            layers.append(LayerCache(layout, keys.shape[2], held))
        return cls(layers)

    def prefix_columns(self) -> list[mx.array]:
        """Keys and values (1, H, T, D) of one row, layer by layer, then the row's shift (1,)."""
        held = [mx.contiguous(buffer[:, :, : self.length]) for buffer in self.state]
        return [*held, mx.array(self.shifts)]

    @property
    def length(self) -> int:
        """Columns in use."""
        return self.layers[0].length

    @property
    def padding(self) -> tuple[int, ...]:
        """Columns of padding at the left of each row."""
        return self.layers[0].layout.padding

    @property
    def shifts(self) -> tuple[int, ...]:
        """How far the position of each row's next word is from the number of its tokens."""
        return self.layers[0].layout.shifts

    @property
    def state(self) -> list[mx.array]:
        """Every array there is, to be evaluated."""
        return [array for layer in self.layers for array in layer.state]

    def rows(self, indices: Sequence[int]) -> RowCache:
        """Those rows, in that order and as often as named, without columns none of them uses."""
        padding = [self.padding[index] for index in indices]
        unused = min(padding)
        picked = mx.array(list(indices))
        return self._changed(
            RowLayout([columns - unused for columns in padding], [self.shifts[i] for i in indices]),
            self.length - unused,
            lambda buffer: buffer[:, :, unused:][picked],
        )

    def right_justified(self, lengths: Sequence[int]) -> RowCache:
        """Move rows that were padded on the right, so that all end in the last column in use."""
        T = self.length
        padding = [T - length for length in lengths]
        if not any(padding):
            return self
        source = ((mx.arange(T) - mx.array(padding)[:, None]) % T)[:, None, :, None]
        return self._changed(
            RowLayout(padding, self.shifts),
            T,
            lambda buffer: mx.take_along_axis(buffer[:, :, :T], source, 2),
        )

    def joined(self, other: RowCache) -> RowCache:
        """The rows of this cache followed by those of another; both must have been written to."""
        T = max(self.length, other.length)
        both = (self, other)
        layout = RowLayout(
            [T - cache.length + pad for cache in both for pad in cache.padding],
            self.shifts + other.shifts,
        )
        layers = []
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            pairs = zip(_widened(mine, T), _widened(theirs, T), strict=True)
            keys, values = (mx.concatenate(list(pair)) for pair in pairs)
            layers.append(LayerCache(layout, T, (keys, values)))
        return RowCache(layers)

    def _changed(
        self, layout: RowLayout, length: int, change: Callable[[mx.array], mx.array]
    ) -> RowCache:
        layers = []
        for layer in self.layers:
            held = None if layer.held is None else (change(layer.held[0]), change(layer.held[1]))
            layers.append(LayerCache(layout, length, held))
        return RowCache(layers)


def keeps_keys_and_values_only(model: nn.Module) -> bool:
    """Whether every layer attends to everything before it, so that a RowCache can serve it."""
    return {type(cache) for cache in make_prompt_cache(model)} == {KVCache}


def _written(buffer: mx.array | None, columns: mx.array, first: int) -> mx.array:
    """Write columns (B, H, L, D) into the buffer from `first` on, growing it where it is short."""
    B, H, L, D = columns.shape
    last = first + L
    if buffer is None or last > buffer.shape[2]:
        room = mx.zeros((B, H, _rounded_up(last) - first, D), dtype=columns.dtype)
        buffer = room if buffer is None else mx.concatenate([buffer[:, :, :first], room], axis=2)
    buffer[:, :, first:last] = columns
    return buffer


def _widened(layer: LayerCache, length: int) -> Pair:
    """A layer's keys and values with free columns on both sides, in use up to `length`."""
    assert layer.held is not None
    left, right = length - layer.length, _rounded_up(length + 1) - length
    sides = [(0, 0), (0, 0), (left, right), (0, 0)]
    keys, values = (mx.pad(buffer[:, :, : layer.length], sides) for buffer in layer.held)
    return keys, values


def _rounded_up(columns: int) -> int:
    return -(-columns // GROWTH_COLUMNS) * GROWTH_COLUMNS
