"""Prompts in token ids, what a policy sampled for them, and how a batch of it becomes arrays.

Letters: B rows, T padded length, N completion positions of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import mlx.core as mx
from pydantic import JsonValue

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """A prompt ready for the models: its place in the file, token ids, text, and right answer.

    `grader` is the name of what compares completions with the answer (grading/graders.py), `extras`
    is what else its line says. `teacher` is which of a run's several teachers it is for.
    """

    index: int
    ids: tuple[int, ...]
    text: str
    answer: str | None = None
    grader: str = "exact_match"
    extras: Mapping[str, JsonValue] = field(default_factory=dict)
    teacher: str = ""


@dataclass(frozen=True, slots=True)
class TopLogprobs:
    """The k most probable tokens of one position with their logprobs (nats), best first."""

    ids: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Rollout:
    """A prompt and the completion a policy sampled for it.

    `completion_ids` includes the end-of-sequence token when `finish_reason` is "stop".
    `logprobs` (nats, float32) are those of the distribution that was sampled: equal to the
    policy's own only at temperature 1 without truncation. `teacher` is its prompt's.
    """

    prompt_index: int
    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish_reason: FinishReason
    top_logprobs: tuple[TopLogprobs, ...] = ()
    teacher: str = ""

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Prompt and completion in one row, exactly as generated."""
        return self.prompt_ids + self.completion_ids


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """Rollouts as right-padded rows, with the places whose logits predict completion tokens.

    `tokens` is (B, T). `positions` (N,) index the flattened (B * T) grid, row by row: the logits
    at prompt length - 1 + j predict completion token j, so a completion of length G after a
    prompt of length P uses positions P - 1 .. P + G - 2. `labels` (N,) are those tokens.
    """

    tokens: mx.array
    positions: mx.array
    labels: mx.array

    @property
    def num_tokens(self) -> int:
        """Completion tokens in the batch: its share of the step's normalizer."""
        return int(self.labels.shape[0])


def bucket_length(length: int, smallest: int = 32, per_doubling: int = 4) -> int:
    """Round a row length up to one of few sizes, so that compiled programs can be reused.

    Buckets grow geometrically with `per_doubling` of them between powers of two: at most 32
    from 32 to 8192 tokens, and never more than 25 % padding above 128 tokens.
    """
    if length <= smallest:
        return smallest
    power = 1 << (length - 1).bit_length()
    stride = max(power // 2 // per_doubling, 16)
    return -(-length // stride) * stride


def pack(rollouts: Sequence[Rollout], pad_id: int = 0) -> PackedBatch:
    """Right-pad rollouts into one batch; padding is known by length, never by id."""
    T = bucket_length(max(len(rollout.token_ids) for rollout in rollouts))
    rows: list[list[int]] = []
    positions: list[int] = []
    labels: list[int] = []
    for row, rollout in enumerate(rollouts):
        ids = list(rollout.token_ids)
        rows.append(ids + [pad_id] * (T - len(ids)))
        first = row * T + len(rollout.prompt_ids) - 1
        positions.extend(range(first, first + len(rollout.completion_ids)))
        labels.extend(rollout.completion_ids)
    return PackedBatch(mx.array(rows), mx.array(positions), mx.array(labels))
