"""A model that sees: a vision tower before a language model, one class for every family.

Places of pictures are token ids of their own (pictures.py), so prompts, caches and batches need to
know nothing of them. Here ids below the vocabulary become embeddings and the others features of
their picture. Some towers hand over more than one *level* of features: level 0 stands where an
embedding would, level i is added behind layer i - 1 (DeepStack, arXiv 2406.04334).

Differences from mlx-vlm, whose towers and layers these are: positions follow from the ids alone and
nothing is remembered between calls; layers that learn are handed positions alone, so that all they
are computed from again is plain data; features are made once a picture and kept, with all levels.

Letters: B rows, T columns, D hidden width, P places of all pictures in a pass.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.layer_caches import LayerCache
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.patches import patches_of
from OnPolicyDistill.models.places import Places, find_places
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Picture, PictureBook, Sight
from OnPolicyDistill.stopping import check_stop

Levels = tuple[mx.array, ...]  # (places, D) each

# "grid": places of a picture differ in row and column. "line": they are words among words.
Positions = Literal["grid", "line"]


@dataclass(frozen=True, slots=True)
class View:
    """What the pictures of a pass bring into it."""

    rows: mx.array  # (B, T), rows of the levels; 0 where a word stands
    is_place: mx.array  # (B, T, 1)
    levels: Levels  # (P, D) each

    def level(self, number: int, dtype: mx.Dtype) -> mx.array:
        """Features of every column, (B, T, D): anything where a word stands."""
        return self.levels[number][self.rows].astype(dtype)


class FeatureShelf:
    """Features of pictures by digest, the least recently used out first; 0 bytes keep none."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.num_bytes = 0
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[str, Levels] = OrderedDict()
        self._seen = (0, 0)

    def get(self, digest: str) -> Levels | None:
        """What is kept of a picture, counted as a hit or a miss."""
        levels = self._kept.get(digest)
        if levels is None:
            self.misses += 1
            return None
        self.hits += 1
        self._kept.move_to_end(digest)
        return levels

    def put(self, digest: str, levels: Levels) -> None:
        """Keep a picture's features if they fit at all."""
        num_bytes = _num_bytes(levels)
        if num_bytes > self.capacity_bytes or digest in self._kept:
            return
        self._kept[digest] = levels
        self.num_bytes += num_bytes
        while self.num_bytes > self.capacity_bytes:
            self.num_bytes -= _num_bytes(self._kept.popitem(last=False)[1])

    def clear(self) -> None:
        """Forget everything that is kept."""
        self._kept.clear()
        self.num_bytes = 0

    def metrics(self) -> dict[str, float]:
        """Hit rate since the last call, where anything was asked for, and megabytes held."""
        hits, misses = self.hits - self._seen[0], self.misses - self._seen[1]
        self._seen = (self.hits, self.misses)
        metrics = {"picture_cache_mb": self.num_bytes / 1e6}
        if hits + misses:
            metrics["picture_cache_hit_rate"] = hits / (hits + misses)
        return metrics


class SeeingModel(nn.Module):
    """A vision tower, a language model, and a projector between them where widths differ.

    The language model has `model` with `embed_tokens`, `layers` and `norm`, and `lm_head` unless
    it is tied, as mlx-lm's and mlx-vlm's have. A tower is called with patches and their grid
    (1, 3), and gives features or features and a list of further levels.
    """

    def __init__(
        self,
        vision_tower: nn.Module,
        language_model: nn.Module,
        sight: Sight,
        positions: Positions,
        projector: nn.Module | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # mlx types the class, not this
        self.vision_tower = vision_tower
        self.language_model = language_model
        if projector is not None:
            self.projector = projector
        self.sight = sight
        self.positions = positions
        self.book = PictureBook()
        self.shelf = FeatureShelf(0)

    @property
    def layers(self) -> list[nn.Module]:
        """The language model's layers: what adapters, caches and recomputation are about."""
        layers: list[nn.Module] = self.language_model.model.layers
        return layers

    def __call__(self, tokens: mx.array, cache: Sequence[LayerCache] | None = None) -> mx.array:
        """Logits (B, T, padded vocabulary) of tokens (B, T)."""
        return self._projected(self.states(tokens, cache))

    def states(
        self,
        tokens: mx.array,
        cache: Sequence[LayerCache] | None = None,
        are_words: bool = False,
    ) -> mx.array:
        """Final normed hidden states (B, T, D) of tokens (B, T), which continue the cache.

        `are_words` promises that no token is a place: nobody looks at them then, so that a step
        can be asked for before the last one is computed.
        """
        inner = self.language_model.model
        places = None if are_words else self._find(tokens, cache)
        view = None if places is None else self._view(places)
        hidden = self._embedded(tokens, view)
        mask = _mask(hidden.shape[1], cache)
        further = self._further(tokens, places, cache, hidden)
        for number, layer in enumerate(inner.layers):
            held = None if cache is None else self._as_asked(cache[number])
            hidden = layer(hidden, mask, held, *further)
            if view is not None and number + 1 < len(view.levels):
                level = view.level(number + 1, hidden.dtype)
                hidden = hidden + mx.where(view.is_place, level, mx.zeros((), hidden.dtype))
        if cache is not None and places is not None:
            cache[0].layout.shifts = places.shifts
        states: mx.array = inner.norm(hidden)
        return states

    def features(self, picture: Picture) -> Levels:
        """Every level of a frozen tower's features of a picture, from the shelf or made now."""
        levels = self.shelf.get(picture.digest)
        if levels is None:
            check_stop()
            levels = self._looked([picture])
            # Now, so that one picture's patches are in memory at a time.
            mx.eval(levels)
            self.shelf.put(picture.digest, levels)
        return levels

    def quant_predicate(self, path: str, _module: nn.Module) -> bool | dict[str, int]:
        """What mlx-lm's quantization may pack: words alone, and routers with care, as it does."""
        if path.endswith("mlp.gate"):
            return {"group_size": 64, "bits": 8}
        return path.startswith("language_model.")

    def _projected(self, hidden: mx.array) -> mx.array:
        head = self.language_model.get("lm_head")
        logits: mx.array = (
            self.language_model.model.embed_tokens.as_linear(hidden)
            if head is None
            else head(hidden)
        )
        return logits

    def _find(self, tokens: mx.array, cache: Sequence[LayerCache] | None) -> Places:
        B = tokens.shape[0]
        starts, shifts = [0] * B, (0,) * B
        if cache is not None:
            layout = cache[0].layout
            starts = [cache[0].length - padding for padding in layout.padding]
            shifts = layout.shifts
        ids = np.array(tokens, dtype=np.int64)
        return find_places(ids, self.book, starts, shifts, self.sight.place_size)

    def _view(self, places: Places) -> View | None:
        if not places.pictures:
            return None
        if flat_arrays(self.vision_tower.trainable_parameters()):
            # Anew each time, inside of the gradient; small towers learn faster from all at once.
            levels = self._looked(places.pictures)
        else:
            seen = [self.features(picture) for picture in places.pictures]
            levels = tuple(mx.concatenate(list(parts)) for parts in zip(*seen, strict=True))
        if "projector" in self:
            levels = (self.projector(levels[0]), *levels[1:])
        rows = mx.array(np.maximum(places.rows, 0))
        return View(rows, mx.array(places.rows >= 0)[..., None], levels)

    def _looked(self, pictures: Sequence[Picture]) -> Levels:
        pixels = [picture.pixels() for picture in pictures]
        dtype = self.vision_tower.patch_embed.proj.weight.dtype
        patches = np.concatenate([patches_of(each, self.sight) for each in pixels])
        sides = [[side // self.sight.patch for side in each.shape[:2]] for each in pixels]
        grid = mx.array([[1, *side] for side in sides])
        seen = self.vision_tower(mx.array(patches).astype(dtype), grid)
        return (seen[0], *seen[1]) if isinstance(seen, tuple) else (seen,)

    def _embedded(self, tokens: mx.array, view: View | None) -> mx.array:
        embed = self.language_model.model.embed_tokens
        if view is None:
            words: mx.array = embed(tokens)
            return words
        words = embed(mx.where(view.is_place[..., 0], 0, tokens))
        return mx.where(view.is_place, view.level(0, words.dtype), words)

    def _further(
        self,
        tokens: mx.array,
        places: Places | None,
        cache: Sequence[LayerCache] | None,
        hidden: mx.array,
    ) -> tuple[object, ...]:
        """What layers are handed behind the cache: positions, or their sines where none learns."""
        if self.positions == "line":
            return ()
        if places is not None:
            positions = mx.array(places.positions.astype(np.int32))
        else:
            assert cache is not None, "only a step behind a cache has words alone"
            after = cache[0].layout.next_positions(cache[0].length)  # (B, 1)
            positions = mx.broadcast_to(after[None], (3, *tokens.shape))
        if cache is None:
            return (positions,)
        rotary = self.layers[0].self_attn.rotary_emb
        return positions, rotary(hidden, positions)

    def _as_asked(self, cache: LayerCache) -> LayerCache | Columns:
        return Columns(cache) if self.positions == "grid" else cache


class Columns:
    """A layer's cache for layers that are told their positions.

    They use `offset` for the number of columns alone; mlx-vlm's mixture would wait for the device
    to know it where rows are of unequal length.
    """

    def __init__(self, cache: LayerCache) -> None:
        self._cache = cache
        self.offset = cache.length

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Append (B, H, L, D) and return everything so far."""
        return self._cache.update_and_fetch(keys, values)


def refuse_unseen_pictures(model: nn.Module, rows: Sequence[Sequence[int]]) -> None:
    """Refuse rows with pictures for a model without eyes, whose table has no such rows.

    Raises:
        ModelError: a row holds a place of a picture and the model does not see.
    """
    if isinstance(model, SeeingModel) or all(max(row) < FIRST_PICTURE_ID for row in rows):
        return
    raise ModelError(
        "A prompt has a picture, and the model reads words alone.",
        "Use a model that sees, such as Qwen3-VL-4B, or prompts without pictures.",
    )


def _mask(num_new: int, cache: Sequence[LayerCache] | None) -> mx.array | str | None:
    if cache is not None:
        return cache[0].make_mask(num_new)
    return "causal" if num_new > 1 else None


def _num_bytes(levels: Levels) -> int:
    return sum(level.nbytes for level in levels)
