"""The manual generation loop: batched, cached, every token with the logprob it was drawn with.

While Python looks at the tokens of one step, the next step is already being computed; a row that
turns out to have ended costs one wasted row of one step. Ended rows leave the batch at once and
waiting prompts take their places in their order. A row's tokens depend on its prompt and its seed,
not on its neighbours (to float rounding: the sums of a matrix product are ordered by its shape).

Arrays of MLX belong to the thread that made them: consume `stream` on one thread.

Letters: G tokens of a completion, V real vocabulary.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.arrays import float_list, int_list
from OnPolicyDistill.errors import StoppedError
from OnPolicyDistill.generation.batch import Decoder, Draw, LiveRows
from OnPolicyDistill.generation.request import NO_HOOKS, GenerationHooks, GenerationRequest, Token
from OnPolicyDistill.models.seeing import refuse_unseen_pictures
from OnPolicyDistill.rollout import FinishReason, Rollout, TopLogprobs


def generate(
    model: nn.Module, request: GenerationRequest, hooks: GenerationHooks = NO_HOOKS
) -> list[Rollout]:
    """Complete every prompt; rollouts come in the order of the prompts.

    Raises StoppedError when `hooks.should_stop` says so, ModelError for prompts with pictures and
    a model that does not see.
    """
    completions = _collected(model, request, hooks)
    return [_rollout(request, index, tokens) for index, tokens in enumerate(completions)]


def generate_with_full_logprobs(
    model: nn.Module, request: GenerationRequest, hooks: GenerationHooks = NO_HOOKS
) -> list[tuple[Rollout, mx.array]]:
    """Like `generate`, with the policy's own full logprobs (G, V) float32 of every completion."""
    completions = _collected(model, replace(request, full_logprobs=True), hooks)
    results = []
    for index, tokens in enumerate(completions):
        rows = [token.full_logprobs for token in tokens if token.full_logprobs is not None]
        results.append((_rollout(request, index, tokens), mx.stack(rows)))
    return results


def stream(
    model: nn.Module, request: GenerationRequest, hooks: GenerationHooks = NO_HOOKS
) -> Iterator[Token]:
    """Yield tokens as they are drawn, step by step, those of one prompt in their order.

    Raises ModelError for prompts with pictures and a model that does not see.
    """
    if not request.prompts:
        return
    refuse_unseen_pictures(model, request.prompts)
    with _dropout_off(model):
        decoder = Decoder(model, request)
        yield from _decoded(decoder, deque(range(len(request.prompts))), request, hooks)


def _decoded(
    decoder: Decoder, waiting: deque[int], request: GenerationRequest, hooks: GenerationHooks
) -> Iterator[Token]:
    live: LiveRows | None = None
    pending: Draw | None = None
    finished: set[int] = set()
    while True:
        if hooks.should_stop():
            raise StoppedError("Sampling was stopped before its completions were finished.")
        live = _refilled(live, waiting, decoder, request.max_rows)
        upcoming = None
        if live is not None:
            upcoming, live = decoder.step(live)
        if pending is not None:
            tokens = [
                token for token in _tokens(pending, request) if token.prompt_index not in finished
            ]
            hooks.progress(len(tokens))
            yield from tokens
            finished.update(token.prompt_index for token in tokens if token.finish_reason)
        if upcoming is None:
            return
        live = _unfinished(live, finished, request.max_tokens)
        pending = upcoming


def _refilled(
    live: LiveRows | None, waiting: deque[int], decoder: Decoder, max_rows: int
) -> LiveRows | None:
    free = max_rows - (0 if live is None else len(live.indices))
    num_joining = min(free, len(waiting))
    if num_joining == 0:
        return live
    joining = decoder.prefill([waiting.popleft() for _ in range(num_joining)])
    return joining if live is None else live.joined(joining)


def _unfinished(live: LiveRows | None, finished: set[int], max_tokens: int) -> LiveRows | None:
    """The rows that need another step; those that reach `max_tokens` are known beforehand."""
    if live is None:
        return None
    places = [
        place
        for place, (index, num) in enumerate(zip(live.indices, live.num_drawn, strict=True))
        if index not in finished and num < max_tokens
    ]
    if len(places) == len(live.indices):
        return live
    return live.rows(places) if places else None


def _tokens(draw: Draw, request: GenerationRequest) -> list[Token]:
    ids, logprobs = int_list(draw.ids), float_list(draw.logprobs)
    tops = _top_logprobs(draw)
    tokens = []
    for row, index in enumerate(draw.indices):
        reason = _finish_reason(ids[row], draw.num_drawn[row], request)
        full = draw.full_logprobs[row] if request.full_logprobs else None
        tokens.append(Token(index, ids[row], logprobs[row], reason, tops[row], full))
    return tokens


def _finish_reason(
    token_id: int, num_drawn: int, request: GenerationRequest
) -> FinishReason | None:
    if token_id in request.stop_ids:
        return "stop"
    return "length" if num_drawn >= request.max_tokens else None


def _top_logprobs(draw: Draw) -> list[TopLogprobs | None]:
    B, K = draw.top_ids.shape
    if K == 0:
        return [None] * B
    ids, logprobs = int_list(draw.top_ids.reshape(-1)), float_list(draw.top_logprobs.reshape(-1))
    firsts = range(0, B * K, K)
    return [TopLogprobs(tuple(ids[i : i + K]), tuple(logprobs[i : i + K])) for i in firsts]


def _collected(
    model: nn.Module, request: GenerationRequest, hooks: GenerationHooks
) -> list[list[Token]]:
    completions: list[list[Token]] = [[] for _ in request.prompts]
    for token in stream(model, request, hooks):
        completion = completions[token.prompt_index]
        completion.append(token)
        if token.finish_reason is not None:
            hooks.finished(_rollout(request, token.prompt_index, completion))
    return completions


def _rollout(request: GenerationRequest, index: int, tokens: list[Token]) -> Rollout:
    finish_reason = tokens[-1].finish_reason
    assert finish_reason is not None
    return Rollout(
        prompt_index=index,
        prompt_ids=tuple(request.prompts[index]),
        completion_ids=tuple(token.id for token in tokens),
        logprobs=tuple(token.logprob for token in tokens),
        finish_reason=finish_reason,
        top_logprobs=tuple(token.top_logprobs for token in tokens if token.top_logprobs),
    )


@contextmanager
def _dropout_off(model: nn.Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        if was_training:
            model.train()
