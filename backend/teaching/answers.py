"""Answers of a served teacher, from the hidden states of one forward: logprobs or arrays.

Letters: N positions of a row, D hidden width, K ids of a position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import mlx.core as mx
from pydantic import JsonValue

from backend.teaching.asked import Asked, Extension
from OnPolicyDistill.arrays import float_list, int_list
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.chunks import map_chunks, rows_per_chunk
from OnPolicyDistill.losses.softened import soften
from OnPolicyDistill.losses.targets import HiddenTargets, top_k_targets
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.teacher.packed import packed
from OnPolicyDistill.teacher.wire import NO_MASS

# Text of a token.
Read = Callable[[int], str]


def answer_row(
    rollout: Rollout, hidden: mx.array, head: VocabularyHead, asked: Asked, read: Read
) -> dict[str, JsonValue]:
    """A row's part of an answer, from its hidden states (N, D); all but its index."""
    if asked.extension is not None:
        return {"distill": _targets(rollout, hidden, head, asked.extension)}
    told, written = _logprobs(rollout, hidden, head, asked.num_logprobs, read)
    return {
        "text": written,
        "logprobs": None,
        "finish_reason": "length",
        "stop_reason": None,
        "prompt_logprobs": told if asked.num_logprobs else None,
    }


def _targets(
    rollout: Rollout, hidden: mx.array, head: VocabularyHead, wanted: Extension
) -> JsonValue:
    """The arrays of a teacher in this process, over the tokens that the student shares."""
    exact = HiddenTargets(hidden, replace(head, vocab_size=wanted.vocab_size))
    if not wanted.top_k:
        arrays = exact.arrays
    else:
        labels = mx.array(rollout.completion_ids)
        ids = [top.ids for top in rollout.top_logprobs]
        also = mx.array(ids) if ids[0] else None
        arrays = top_k_targets(exact, labels, wanted.top_k, wanted.temperature, also).arrays
    mx.eval(*arrays)
    return [packed(array) for array in arrays]


def _logprobs(
    rollout: Rollout, hidden: mx.array, head: VocabularyHead, k: int, read: Read
) -> tuple[list[JsonValue], str]:
    """List positions as vLLM does; also the token that it must write behind the prompt."""

    def score(states: mx.array, labels: mx.array) -> tuple[mx.array, ...]:
        logits = head.logits(states)
        best = mx.argsort(-logits, axis=-1)[:, : max(k, 1)]  # (N, K)
        ids = mx.concatenate([best, labels[:, None]], axis=-1)  # (N, K + 1)
        logprobs = soften(logits, 1.0).logprobs_of(ids)
        given = mx.take_along_axis(logits, labels[:, None], axis=-1)
        return ids, logprobs, (logits > given).sum(axis=-1) + 1

    size = rows_per_chunk(head.vocab_size, None)
    labels = mx.array(rollout.completion_ids)
    ids, logprobs, ranks = map_chunks(score, (hidden, labels), size)
    mx.eval(ids, logprobs, ranks)
    listed: list[JsonValue] = [None]
    for row, rank in zip(range(labels.shape[0] - 1), int_list(ranks), strict=False):
        listed.append(_position(int_list(ids[row]), float_list(logprobs[row]), rank, k, read))
    return listed, read(int_list(ids[-1])[0])


def _position(
    ids: Sequence[int], logprobs: Sequence[float], rank: int, k: int, read: Read
) -> JsonValue:
    """The k best and the given token, by id."""
    ranked = [*zip(ids[:k], logprobs[:k], range(1, k + 1), strict=False)]
    ranked.append((ids[-1], logprobs[-1], rank))
    return {
        str(token): {"logprob": max(logprob, NO_MASS), "rank": place, "decoded_token": read(token)}
        for token, logprob, place in ranked
    }
