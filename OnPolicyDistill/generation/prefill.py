"""Reading prompts into keys and values, what they begin with in common only once.

A prefix can outlive a request: whoever asks many requests behind the same long prompt reads it
first with `read_prefix` and hands it to each. Its bits do not depend on the batch.

Letters: B rows, L prompt columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.models.kv_cache import RowCache
from OnPolicyDistill.models.pieces import in_pieces
from OnPolicyDistill.stopping import check_stop

PREFILL_TOKENS = 2048
SHARED_PREFIX_TOKENS = 32


@dataclass(frozen=True, slots=True)
class Prefix:
    """Token ids that prompts begin with, and one row of a model's keys and values of them."""

    ids: tuple[int, ...]
    cache: RowCache

    def opens(self, prompts: Sequence[Sequence[int]]) -> bool:
        """Whether every prompt begins with it and goes on."""
        length = len(self.ids)
        return all(
            len(prompt) > length and tuple(prompt[:length]) == self.ids for prompt in prompts
        )


def read_prefix(model: nn.Module, prompts: Sequence[Sequence[int]]) -> Prefix:
    """Read what all prompts begin with; nothing where that is shorter than 32 tokens.

    Raises:
        ModelError: the model's layers keep anything but keys and values.
    """
    shared = tuple(prompts[0][: _shared_length(prompts)])
    cache = RowCache.empty(model, num_rows=1)
    read_rows(model, cache, [shared])
    return Prefix(shared, cache)


def read_rows(model: nn.Module, cache: RowCache, rows: Sequence[Sequence[int]]) -> None:
    """Read rows of ids into the cache in chunks, padded on the right (causal: never seen).

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
            model(piece, cache=cache.layers)
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
