"""Reading prompts into a model's caches, what they begin with in common only once.

A prefix can outlive a request: whoever asks many requests behind the same long prompt reads it
first with `read_prefix` and hands it to each. Its bits do not depend on the batch.

Letters: B rows, L prompt columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.lanes import in_lanes, num_lanes, one_thread_a_product
from OnPolicyDistill.models.kv_cache import RowCache, Rows, empty_rows, joined_rows
from OnPolicyDistill.models.pieces import in_pieces, is_short
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.stopping import check_stop

PREFILL_TOKENS = 2048
SHARED_PREFIX_TOKENS = 32
# Fewer rows are read together: their operations are many and small either way.
FEWEST_IN_LANES = 8


@dataclass(frozen=True, slots=True)
class Prefix:
    """Token ids that prompts begin with, and one row of what a model keeps of them."""

    ids: tuple[int, ...]
    cache: Rows

    def opens(self, prompts: Sequence[Sequence[int]]) -> bool:
        """Whether every prompt begins with it and goes on."""
        length = len(self.ids)
        return all(
            len(prompt) > length and tuple(prompt[:length]) == self.ids for prompt in prompts
        )


def read_prefix(model: nn.Module, prompts: Sequence[Sequence[int]]) -> Prefix:
    """Read what all prompts begin with; nothing where that is shorter than 32 tokens."""
    shared = tuple(prompts[0][: _shared_length(prompts)])
    cache = empty_rows(model, num_rows=1)
    _read_columns(model, cache, [shared])
    return Prefix(shared, cache)


def read_rows(model: nn.Module, cache: Rows, rows: Sequence[Sequence[int]]) -> Rows:
    """Read rows of ids behind what the cache holds, equally much of each; return all of it.

    Rows are padded on the right where that leaves no trace, since attention is causal. What a
    recurrence carries on, or a window holds, would not be the same behind padding: such models
    read as far as the shortest row goes, set aside the rows that end there, and go on with the
    others.
    """
    if isinstance(cache, RowCache) and cache.takes_padding:
        if num_lanes(len(rows)) > 1 and _is_one_short_pass(model, rows):
            return _read_in_lanes(model, cache, rows)
        num_before = cache.length
        _read_columns(model, cache, rows)
        return cache.right_justified([num_before + len(row) for row in rows])
    ends = sorted({len(row) for row in rows})
    going = list(range(len(rows)))
    ended: list[int] = []
    parts: list[Rows] = []
    for start, end in zip([0, *ends], ends, strict=False):
        _read_columns(model, cache, [rows[row][start:end] for row in going])
        here = [place for place, row in enumerate(going) if len(rows[row]) == end]
        further = [place for place, row in enumerate(going) if len(rows[row]) > end]
        parts.append(cache.rows(here) if further else cache)
        ended += [going[place] for place in here]
        if further:
            cache, going = cache.rows(further), [going[place] for place in further]
    return joined_rows(parts).rows([ended.index(row) for row in range(len(rows))])


def _is_one_short_pass(model: nn.Module, rows: Sequence[Sequence[int]]) -> bool:
    num_tokens = len(rows) * max(map(len, rows))
    is_worth_it = len(rows) >= FEWEST_IN_LANES and not isinstance(model, SeeingModel)
    has_words = min(map(len, rows)) > 0
    return (
        is_worth_it and has_words and num_tokens <= PREFILL_TOKENS and is_short(model, num_tokens)
    )


def _read_in_lanes(model: nn.Module, cache: RowCache, rows: Sequence[Sequence[int]]) -> Rows:
    """Read rows side by side, in one pass each (lanes.py)."""

    def recorded(own: slice) -> RowCache:
        part, tails = cache.rows(range(own.start, own.stop)), rows[own]
        num_before, L = part.length, max(map(len, tails))
        tokens = mx.array([[*tail, *[0] * (L - len(tail))] for tail in tails])
        part.read(lambda ids, caches: model(ids, cache=caches), tokens)
        return part.right_justified([num_before + len(tail) for tail in tails])

    # A step of other rows may be under way, whose products have their threads.
    mx.synchronize()
    with one_thread_a_product(num_lanes(len(rows))):
        parts = in_lanes(len(rows), recorded)
        mx.eval([part.state for part in parts])
    return joined_rows(parts)


def _read_columns(model: nn.Module, cache: Rows, rows: Sequence[Sequence[int]]) -> None:
    """Read rows of ids into the cache in chunks, padded on the right.

    Each chunk is evaluated before the next, so that a long prompt costs the activations of
    PREFILL_TOKENS tokens and not of all; their buffers serve the next chunk.
    """
    L = max(map(len, rows))
    tokens = mx.array([[*row, *[0] * (L - len(row))] for row in rows])
    columns = max(1, PREFILL_TOKENS // len(rows))
    for first in range(0, L, columns):
        check_stop()
        piece = tokens[:, first : first + columns]
        with in_pieces(model, piece.size):
            cache.read(lambda ids, caches: model(ids, cache=caches), piece)
            mx.eval(cache.state)


def _shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with, none of them a last token; 0 if not worth it."""
    if len(prompts) == 1:
        return 0
    # What the first and the last in lexicographic order share, all between them share too.
    first, last = min(prompts, key=tuple), max(prompts, key=tuple)
    limit = min(map(len, prompts)) - 1
    pairs = zip(first[:limit], last[:limit], strict=True)
    shared = next((place for place, (a, b) in enumerate(pairs) if a != b), limit)
    return shared if shared >= SHARED_PREFIX_TOKENS else 0
