"""What one layer keeps of rows of unequal length, shaped as the models of mlx-lm expect a cache.

Keys and values of every column (`LayerCache`) or of the last columns alone (`WindowCache`); arrays
that have no columns are in state_cache.py. `CacheGroup` is several of them in one layer.

Why mlx-lm's own batched caches are not used: docs/decisions/0021-state-of-any-kind.md.

Letters: B rows, H key-value heads, C columns (capacity), T columns in use, L new columns, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import mlx.core as mx

from OnPolicyDistill.models.row_layout import Mask, RowLayout, causal, rounded_up, windowed
from OnPolicyDistill.models.state_cache import StateCache

Pair = tuple[mx.array, mx.array]  # keys and values


class LayerCache:
    """One layer's keys and values (B, H, C, D) of every column."""

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

    @property
    def keys(self) -> mx.array:
        """The buffer of keys (B, H, C, D), for models that look at it and put it back."""
        return self._buffers()[0]

    @keys.setter
    def keys(self, keys: mx.array) -> None:
        self.held = keys, self._buffers()[1]

    @property
    def values(self) -> mx.array:
        """The buffer of values (B, H, C, D), likewise."""
        return self._buffers()[1]

    @values.setter
    def values(self, values: mx.array) -> None:
        self.held = self._buffers()[0], values

    def _buffers(self) -> Pair:
        assert self.held is not None, "nothing was written yet"
        return self.held

    def make_mask(
        self, num_new: int, return_array: bool = False, window_size: int | None = None
    ) -> Mask:
        """The attention mask for `num_new` columns that are about to be written."""
        mask = self.layout.mask(num_new, self.length)
        if num_new > 1 and (return_array or window_size is not None):
            return causal(num_new, self.length, window_size)
        return mask if num_new > 1 else windowed(mask, self.length + 1, window_size)

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> Pair:
        """Append (B, H, L, D) and return everything so far, (B, H, T + L, D)."""
        first, self.length = self.length, self.length + keys.shape[2]
        held = (None, None) if self.held is None else self.held
        self.held = _written(held[0], keys, first), _written(held[1], values, first)
        return self.held[0][:, :, : self.length], self.held[1][:, :, : self.length]

    def keys_and_values(self) -> Pair:
        """What the last `update_and_fetch` returned, for layers that attend to another's."""
        keys, values = self._buffers()
        return keys[:, :, : self.length], values[:, :, : self.length]

    def picked(self, rows: mx.array, layout: RowLayout, unused: int) -> Self:
        """Those rows, without their first `unused` columns."""
        return self.changed(layout, self.length - unused, lambda held: held[:, :, unused:][rows])

    def joined(self, others: Sequence[Self], layout: RowLayout, length: int) -> Self:
        """The rows of all, ending in the same column: `length` are in use."""
        caches = [self, *others]
        like = next((cache.held for cache in caches if cache.held is not None), None)
        if like is None:
            return self.changed(layout, length, lambda held: held)
        pairs = [cache._widened(length, like) for cache in caches]
        keys, values = (mx.concatenate(list(side)) for side in zip(*pairs, strict=True))
        return self._with(layout, length, (keys, values))

    def changed(
        self, layout: RowLayout, length: int, change: Callable[[mx.array], mx.array]
    ) -> Self:
        """Its buffers changed alike; where nothing was written yet there are none."""
        held = None if self.held is None else (change(self.held[0]), change(self.held[1]))
        return self._with(layout, length, held)

    def _with(self, layout: RowLayout, length: int, held: Pair | None) -> Self:
        return type(self)(layout, length, held)

    def _widened(self, length: int, like: Pair) -> Pair:
        """Keys and values with free columns on both sides, in use up to `length`."""
        columns = rounded_up(length + 1)
        if self.held is None:
            return _blank(like, len(self.layout.padding), columns)
        sides = [(0, 0), (0, 0), (length - self.length, columns - length), (0, 0)]
        keys, values = (mx.pad(held[:, :, : self.length], sides) for held in self.held)
        return keys, values


class GroupedLayerCache(LayerCache):
    """For attention written out over (B, H, queries of a head, L, T): masks get that axis."""

    def make_mask(
        self, num_new: int, return_array: bool = False, window_size: int | None = None
    ) -> Mask:
        """The mask of plain attention, an array of rows as (B, 1, 1, 1, T)."""
        mask = super().make_mask(num_new, return_array, window_size)
        return mask[:, None] if isinstance(mask, mx.array) and mask.ndim == 4 else mask


class WindowCache(LayerCache):
    """Keys and values of layers that attend to the last `window` columns, their own included.

    Older columns are dropped when the buffer is full: it holds the columns from `first` on.
    """

    def __init__(
        self,
        layout: RowLayout,
        window: int,
        length: int = 0,
        held: Pair | None = None,
        first: int = 0,
    ) -> None:
        super().__init__(layout, length, held)
        self.window = window
        self.first = first
        self._shown = 0

    def make_mask(
        self, num_new: int, return_array: bool = False, window_size: int | None = None
    ) -> Mask:
        """The mask over the columns that `update_and_fetch` is about to return."""
        window = min(window_size or self.window, self.window)
        if num_new == 1:
            num_seen = min(self.length + 1, self.window)
            mask = self.layout.mask(1, self.length)
            mask = mask[..., -num_seen:] if isinstance(mask, mx.array) else mask
            return windowed(mask, num_seen, window)
        before = min(self.length, self.window - 1)
        if return_array or before + num_new > window:
            return causal(num_new, before, window)
        return "causal"

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> Pair:
        """Append (B, H, L, D) and return what the new columns see, at most window - 1 + L."""
        before, self.length = self.length, self.length + keys.shape[2]
        oldest = max(0, before + 1 - self.window)
        if self.held is not None and self.length - self.first > self.held[0].shape[2]:
            kept = slice(oldest - self.first, before - self.first)
            self.held = self.held[0][:, :, kept], self.held[1][:, :, kept]
            self.first = oldest
        held = (None, None) if self.held is None else self.held
        # Room for many steps: the kept columns are copied whenever it is used up.
        place, room = before - self.first, rounded_up(1)
        self.held = _written(held[0], keys, place, room), _written(held[1], values, place, room)
        self._shown = oldest - self.first
        return self.keys_and_values()

    def keys_and_values(self) -> Pair:
        """What the last `update_and_fetch` returned."""
        seen = slice(self._shown, self.length - self.first)
        keys, values = self._buffers()
        return keys[:, :, seen], values[:, :, seen]

    def picked(self, rows: mx.array, layout: RowLayout, unused: int) -> Self:
        """Those rows, without their first `unused` columns and those that nothing sees again."""
        first = max(self.first, unused, self.length + 1 - self.window)
        cut = first - self.first
        picked = self.changed(layout, self.length - unused, lambda held: held[:, :, cut:][rows])
        picked.first = first - unused
        return picked

    def joined(self, others: Sequence[Self], layout: RowLayout, length: int) -> Self:
        """The rows of all, ending in the same column; what the next column sees is kept."""
        joined = super().joined(others, layout, length)
        joined.first = max(0, length + 1 - self.window)
        return joined

    def _with(self, layout: RowLayout, length: int, held: Pair | None) -> Self:
        return type(self)(layout, self.window, length, held, self.first)

    def _widened(self, length: int, like: Pair) -> Pair:
        kept = min(length, self.window - 1)
        if self.held is None:
            return _blank(like, len(self.layout.padding), kept)
        mine = min(self.length, kept)
        sides = [(0, 0), (0, 0), (kept - mine, 0), (0, 0)]
        last = self.length - self.first
        keys, values = (mx.pad(held[:, :, last - mine : last], sides) for held in self.held)
        return keys, values


class CacheGroup:
    """Several caches of one layer, in the order in which its model asks for them."""

    def __init__(self, caches: Sequence[Layer]) -> None:
        self.caches = tuple(caches)

    def __getitem__(self, index: int) -> Layer:
        return self.caches[index]

    @property
    def layout(self) -> RowLayout:
        """The batch's layout, which all share."""
        return self.caches[0].layout

    @property
    def length(self) -> int:
        """Columns in use, 0 where no cache has any."""
        return max(cache.length for cache in self.caches)

    @property
    def state(self) -> list[mx.array]:
        """Every array there is, to be evaluated."""
        return [array for cache in self.caches for array in cache.state]

    def picked(self, rows: mx.array, layout: RowLayout, unused: int) -> CacheGroup:
        """Those rows, without their first `unused` columns."""
        return CacheGroup([cache.picked(rows, layout, unused) for cache in self.caches])

    def joined(self, others: Sequence[CacheGroup], layout: RowLayout, length: int) -> CacheGroup:
        """The rows of all, ending in the same column."""
        groups = zip(self.caches, *(other.caches for other in others), strict=True)
        return CacheGroup([joined_layers(caches, layout, length) for caches in groups])


Layer = LayerCache | StateCache | CacheGroup


def joined_layers(caches: Sequence[Layer], layout: RowLayout, length: int) -> Layer:
    """One layer's caches of several batches as one; they are of one kind."""
    first, *others = caches
    return first.joined(others, layout, length)  # type: ignore[arg-type]


def _blank(like: Pair, num_rows: int, columns: int) -> Pair:
    """Keys and values (B, H, C, D) of rows that nothing was written for."""
    keys, values = (
        mx.zeros((num_rows, held.shape[1], columns, held.shape[3]), held.dtype) for held in like
    )
    return keys, values


def _written(buffer: mx.array | None, columns: mx.array, first: int, room: int = 1) -> mx.array:
    """Write columns (B, H, L, D) into the buffer from `first` on, growing it where it is short.

    A buffer that grows has free columns for `room` - 1 more at least.
    """
    B, H, L, D = columns.shape
    last = first + L
    if buffer is None or last > buffer.shape[2]:
        free = mx.zeros((B, H, rounded_up(last + room - 1) - first, D), dtype=columns.dtype)
        buffer = free if buffer is None else mx.concatenate([buffer[:, :, :first], free], axis=2)
    buffer[:, :, first:last] = columns
    return buffer
