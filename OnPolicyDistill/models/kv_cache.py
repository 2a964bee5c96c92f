"""What a model keeps of rows of unequal length while it samples: the one place that chooses how.

Every layer's cache as mlx-lm makes it is answered by one of ours (models/layer_caches.py), for all
rows of a batch at once. Models whose caches or whose attention cannot be batched at all keep
mlx-lm's own caches, one list a row, and read the rows one after another: slower, and right.

Letters: B rows, T columns in use, D width.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from itertools import chain

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.models.cache import (
    ArraysCache,
    CacheList,
    KVCache,
    RotatingKVCache,
    make_prompt_cache,
)

from OnPolicyDistill.arrays import int_list
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.layer_caches import (
    CacheGroup,
    GroupedLayerCache,
    Layer,
    LayerCache,
    WindowCache,
    joined_layers,
)
from OnPolicyDistill.models.row_layout import RowLayout
from OnPolicyDistill.models.state_cache import StateCache

Forward = Callable[[mx.array, list[object]], mx.array]

# Architectures whose caches look like any other's, and why their rows must be read one by one.
ONE_BY_ONE = {
    "afm7": "counts the positions of its last layers by columns, padding included",
    "gpt_bigcode": "looks positions up by one number for all rows",
    "longcat_flash_ngram": "keeps the last tokens, fewer of them in a short row",
    "minimax_m3_vl": "cuts blocks of attention by column, so padding would move them",
    "recurrent_gemma": "treats a row's first token otherwise than one behind a state of zeros",
}
# Windows that mlx-lm's cache makes narrower than a whole row is read with: by so many tokens.
NARROWED = {"plamo3": 1}
# Attention written out by hand over grouped heads takes masks with one more axis.
GROUPED = frozenset({"gemma2"})


class RowCache:
    """All layers' caches of a batch of rows; its operations return new caches."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = list(layers)

    @classmethod
    def empty(cls, model: nn.Module, num_rows: int) -> RowCache:
        """A cache without columns; ModelError where the rows can only be read one by one."""
        layers = _batched(model, num_rows)
        if layers is None:
            raise ModelError(
                f"The architecture {_architecture(model)} keeps a state that several rows cannot "
                "share.",
                "Choose a model with full attention in every layer, such as Qwen2.5 or Qwen3.",
            )
        return cls(layers)

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
    def attention(self) -> list[LayerCache]:
        """The layers' caches of a model whose layers all attend to everything."""
        layers = [layer for layer in self.layers if isinstance(layer, LayerCache)]
        assert len(layers) == len(self.layers), "a layer keeps more than keys and values"
        return layers

    @property
    def takes_padding(self) -> bool:
        """Whether tokens that are no row's, on its right, leave no trace in what is kept."""
        return all(type(layer) in (LayerCache, GroupedLayerCache) for layer in self.layers)

    @property
    def length(self) -> int:
        """Columns in use."""
        return max(layer.length for layer in self.layers)

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

    def read(self, forward: Forward, tokens: mx.array) -> mx.array:
        """What a model gives for tokens (B, L) that follow, which the cache then holds."""
        return forward(tokens, [*self.layers])

    def rows(self, indices: Sequence[int]) -> RowCache:
        """Those rows, in that order and as often as named, without columns none of them uses."""
        padding = [self.padding[index] for index in indices]
        unused = min(padding)
        picked = mx.array(list(indices))
        layout = RowLayout([pad - unused for pad in padding], [self.shifts[i] for i in indices])
        return RowCache([layer.picked(picked, layout, unused) for layer in self.layers])

    def right_justified(self, lengths: Sequence[int]) -> RowCache:
        """Move rows that were padded on the right, so that all end in the last column in use."""
        T = self.length
        padding = [T - length for length in lengths]
        if not any(padding):
            return self
        source = ((mx.arange(T) - mx.array(padding)[:, None]) % T)[:, None, :, None]
        layout = RowLayout(padding, self.shifts)
        return RowCache(
            [
                layer.changed(
                    layout, T, lambda buffer: mx.take_along_axis(buffer[:, :, :T], source, 2)
                )
                for layer in self.attention
            ]
        )

    def joined(self, *others: RowCache) -> RowCache:
        """The rows of this cache followed by those of others."""
        caches = [self, *others]
        T = max(cache.length for cache in caches)
        layout = RowLayout(
            [T - cache.length + pad for cache in caches for pad in cache.padding],
            [shift for cache in caches for shift in cache.shifts],
        )
        each = zip(*(cache.layers for cache in caches), strict=True)
        return RowCache([joined_layers(layers, layout, T) for layers in each])


class SeparateRows:
    """Rows that keep mlx-lm's own caches, a list each, and are read one after another."""

    takes_padding = False

    def __init__(self, caches: Sequence[list[object]]) -> None:
        self.caches = list(caches)

    @property
    def state(self) -> list[mx.array]:
        """Every array there is, to be evaluated."""
        leaves = chain.from_iterable(_arrays(cache) for row in self.caches for cache in row)
        return list(leaves)

    def read(self, forward: Forward, tokens: mx.array) -> mx.array:
        """What a model gives for tokens (B, L) that follow, which the caches then hold."""
        rows = [forward(tokens[i : i + 1], cache) for i, cache in enumerate(self.caches)]
        return mx.concatenate(rows)

    def rows(self, indices: Sequence[int]) -> SeparateRows:
        """Those rows, in that order and as often as named."""
        return SeparateRows([copy.deepcopy(self.caches[index]) for index in indices])

    def joined(self, *others: SeparateRows) -> SeparateRows:
        """The rows of this cache followed by those of others."""
        return SeparateRows([row for cache in (self, *others) for row in cache.caches])


Rows = RowCache | SeparateRows


def empty_rows(model: nn.Module, num_rows: int) -> Rows:
    """What a model keeps of rows before anything is read: together where that is possible."""
    layers = _batched(model, num_rows)
    if layers is not None:
        return RowCache(layers)
    return SeparateRows([make_prompt_cache(model) for _ in range(num_rows)])


def joined_rows(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts; they are of one kind."""
    first, *others = parts
    return first.joined(*others) if others else first  # type: ignore[arg-type]


def reads_rows_together(model: nn.Module) -> bool:
    """Whether one pass reads the next token of every row of a batch."""
    return _batched(model, num_rows=1) is not None


def keeps_keys_and_values_only(model: nn.Module) -> bool:
    """Whether every layer attends to everything before it, so that prefixes are plain arrays."""
    return {type(cache) for cache in make_prompt_cache(model)} == {KVCache}


def _architecture(model: nn.Module) -> str:
    return type(model).__module__.rsplit(".", 1)[-1]


def _batched(model: nn.Module, num_rows: int) -> list[Layer] | None:
    """Empty caches of ours for every layer; None where the rows can only be read one by one."""
    architecture, layout = _architecture(model), RowLayout([0] * num_rows)
    if architecture in ONE_BY_ONE:
        return None
    plain = GroupedLayerCache if architecture in GROUPED else LayerCache
    layers: list[Layer] = []
    for theirs in make_prompt_cache(model):
        layer = _answering(theirs, layout, plain)
        if layer is None:
            return None
        if isinstance(layer, WindowCache):
            layer.window += NARROWED.get(architecture, 0)
        layers.append(layer)
    return layers


def _answering(theirs: object, layout: RowLayout, plain: type[LayerCache]) -> Layer | None:
    """Our cache in the stead of mlx-lm's; None for a kind that has none."""
    if type(theirs) is KVCache:
        return plain(layout)
    if type(theirs) is RotatingKVCache and theirs.keep == 0:
        return WindowCache(layout, theirs.max_size)
    if type(theirs) is ArraysCache:
        return StateCache(layout, theirs.cache)
    if type(theirs) is CacheList:
        inside = [_answering(cache, layout, plain) for cache in theirs.caches]
        known = [cache for cache in inside if cache is not None]
        return CacheGroup(known) if len(known) == len(inside) else None
    return None


def _arrays(cache: object) -> list[mx.array]:
    """Every array of one of mlx-lm's caches, which may be nested and mixed with numbers."""
    leaves: list[tuple[str, object]] = tree_flatten(vars(cache))  # type: ignore[assignment]
    arrays = []
    for _, leaf in leaves:
        if isinstance(leaf, mx.array):
            arrays.append(leaf)
        elif isinstance(leaf, KVCache | RotatingKVCache | ArraysCache | CacheList):
            arrays += _arrays(leaf)
    return arrays
