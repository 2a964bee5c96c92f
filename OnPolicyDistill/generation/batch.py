"""The rows that are decoded together: prefill, one step, rows that leave and rows that join.

A prompt's last token is not prefilled but is the first step's input, so that prefill never
computes logits and every token of a completion comes out of the same step.

Letters: B rows, L prompt columns, V real vocabulary, K top logprobs (0 when none are wanted).
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.generation.prefill import read_prefix, read_rows
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.generation.sampling import next_keys, row_keys, sample
from OnPolicyDistill.models.kv_cache import Rows, joined_rows
from OnPolicyDistill.models.policy import hidden_states, sampling_head
from OnPolicyDistill.vocabulary import log_partition


@dataclass(frozen=True, slots=True)
class Draw:
    """What one step gives for its rows, not yet evaluated; what was not asked for has no columns.

    `num_drawn` counts each row's tokens, this one included.
    """

    indices: list[int]
    num_drawn: list[int]
    ids: mx.array  # (B,)
    logprobs: mx.array  # (B,)
    top_ids: mx.array  # (B, K)
    top_logprobs: mx.array  # (B, K)
    full_logprobs: mx.array  # (B, V or 0)


@dataclass(frozen=True, slots=True)
class LiveRows:
    """Rows under way: which prompts they answer, and what their next step needs."""

    indices: list[int]
    num_drawn: list[int]
    cache: Rows
    inputs: mx.array  # (B,), the last token of each row
    keys: mx.array  # (B, 2)

    def rows(self, places: list[int]) -> LiveRows:
        """Those rows only."""
        picked = mx.array(places)
        return LiveRows(
            [self.indices[place] for place in places],
            [self.num_drawn[place] for place in places],
            self.cache.rows(places),
            self.inputs[picked],
            self.keys[picked],
        )

    def joined(self, other: LiveRows) -> LiveRows:
        """These rows, then the others."""
        return LiveRows(
            self.indices + other.indices,
            self.num_drawn + other.num_drawn,
            joined_rows([self.cache, other.cache]),
            mx.concatenate([self.inputs, other.inputs]),
            mx.concatenate([self.keys, other.keys]),
        )


class Decoder:
    """A model at work on one request; what all of its prompts begin with is prefilled once."""

    def __init__(self, model: nn.Module, request: GenerationRequest) -> None:
        self._model = model
        self._request = request
        given = request.prefix
        if given is None or not given.opens(request.prompts):
            given = read_prefix(model, request.prompts)
        self._prefix = given
        # What a layer keeps and does not use yet would otherwise be recorded and not computed.
        self._computes_state = not given.cache.takes_padding
        self._head = sampling_head(model, request.vocab_size)
        self._bans = None if not request.banned_ids else _bans(request)

    def prefill(self, indices: list[int]) -> LiveRows:
        """Read those prompts of the request, all but their last tokens; equal ones once."""
        prompts = [self._request.prompts[index] for index in indices]
        num_read = len(self._prefix.ids)
        tails = [tuple(prompt[num_read:-1]) for prompt in prompts]
        unequal = list(dict.fromkeys(tails))
        cache = self._prefix.cache.rows([0] * len(unequal))
        cache = read_rows(self._model, cache, unequal)
        if len(unequal) < len(tails):
            cache = cache.rows([unequal.index(tail) for tail in tails])
        return LiveRows(
            indices,
            [0] * len(indices),
            cache,
            mx.array([prompt[-1] for prompt in prompts]),
            row_keys([self._request.seeds[index] for index in indices]),
        )

    def step(self, live: LiveRows) -> tuple[Draw, LiveRows]:
        """Dispatch the next token of every row without waiting for it; writes to the cache."""
        request = self._request
        logits = self._logits(live)
        allowed = logits if self._bans is None else logits + self._bans
        ids, logprobs = sample(allowed, request.sampling, live.keys)
        num_drawn = [num + 1 for num in live.num_drawn]
        draw = Draw(live.indices, num_drawn, ids, logprobs, *_recorded(logits, request))
        kept = live.cache.state if self._computes_state else []
        mx.async_eval(ids, logprobs, draw.top_ids, draw.top_logprobs, draw.full_logprobs, *kept)
        return draw, LiveRows(live.indices, num_drawn, live.cache, ids, next_keys(live.keys))

    def _logits(self, live: LiveRows) -> mx.array:
        """Float32 logits (B, V) of what follows the inputs, which the cache then holds."""
        inputs = live.inputs[:, None]
        if self._head is not None:
            hidden = hidden_states(self._model, inputs, live.cache, are_words=True)  # (B, 1, D)
            return self._head.sampling_logits(hidden[:, -1])
        model = self._model
        padded = live.cache.read(lambda ids, caches: model(ids, cache=caches), inputs)[:, -1]
        return padded[:, : self._request.vocab_size].astype(mx.float32)


def _recorded(logits: mx.array, request: GenerationRequest) -> tuple[mx.array, mx.array, mx.array]:
    """Top ids and logprobs (B, K) and full logprobs (B, V or 0) of the policy itself."""
    K = request.num_top_logprobs
    nothing = logits[:, :0]
    if K == 0 and not request.full_logprobs:
        return nothing.astype(mx.uint32), nothing, nothing
    logprobs = logits - log_partition(logits)
    best = mx.argpartition(-logprobs, max(K - 1, 0), axis=-1)[:, :K]
    order = mx.argsort(-mx.take_along_axis(logprobs, best, axis=-1), axis=-1)
    top_ids = mx.take_along_axis(best, order, axis=-1)
    top_logprobs = mx.take_along_axis(logprobs, top_ids, axis=-1)
    return top_ids, top_logprobs, logprobs if request.full_logprobs else nothing


def _bans(request: GenerationRequest) -> mx.array:
    bans = mx.zeros((request.vocab_size,))
    bans[mx.array(sorted(request.banned_ids))] = -mx.inf
    return bans
