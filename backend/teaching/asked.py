"""What may be asked of a served teacher: vLLM's request with our extension, within bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.errors import InputError
from OnPolicyDistill.rollout import Rollout, TopLogprobs

MAX_ROWS = 64
MAX_REQUEST_TOKENS = 131_072
MAX_LOGPROBS = 4096
# Logprobs of one answer, over all its positions.
MAX_ENTRIES = 4_000_000

TokenId = Annotated[int, Field(ge=0, lt=2**31)]
TokenIds = Annotated[list[TokenId], Field(min_length=1, max_length=MAX_REQUEST_TOKENS)]


class Extension(BaseModel):
    """What a run needs of its completions: hidden states, or `top_k` logprobs where that is set.

    `starts` is where each row's completion begins; `also_ids` are further ids to be scored, a list
    for each of its positions. `vocab_size` is how many tokens the student shares.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    teacher: str = Field(max_length=200)
    vocab_size: int = Field(ge=1)
    starts: tuple[Annotated[int, Field(ge=1)], ...]
    top_k: int = Field(0, ge=0, le=MAX_LOGPROBS)
    temperature: float = Field(1.0, ge=0.01, le=100, allow_inf_nan=False)
    also_ids: tuple[list[list[TokenId]], ...] = ()


class CompletionRequest(BaseModel):
    """vLLM's request as far as it is answered; what else clients send is not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str = Field(max_length=300)
    prompt: TokenIds | Annotated[list[TokenIds], Field(min_length=1, max_length=MAX_ROWS)] = Field(
        description="Token ids, of one row or of several."
    )
    max_tokens: int = Field(1, ge=0, le=1, description="More than one token is not written.")
    prompt_logprobs: int = Field(0, ge=0, le=MAX_LOGPROBS)
    distill: Extension | None = None

    @property
    def rows(self) -> list[list[int]]:
        """The prompt's rows."""
        several = [row for row in self.prompt if isinstance(row, list)]
        return several or [[token for token in self.prompt if isinstance(token, int)]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the served teacher knows: how many tokens, and rows of which length."""

    vocab_size: int
    max_row_tokens: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be answered: its rows, of which completions are read."""

    rollouts: tuple[Rollout, ...]
    num_logprobs: int
    extension: Extension | None

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(len(rollout.token_ids) for rollout in self.rollouts)


def admitted(request: CompletionRequest, limits: Limits) -> Asked:
    """Check a request against the teacher.

    Raises:
        InputError: it asks for what the teacher has not, or for more than fits into memory.
    """
    rows, wanted = request.rows, request.distill
    if sum(map(len, rows)) > MAX_REQUEST_TOKENS:
        raise InputError(f"More than {MAX_REQUEST_TOKENS} tokens at once.", "Send fewer rows.")
    if max(map(len, rows)) > limits.max_row_tokens:
        raise InputError(f"A row has more than {limits.max_row_tokens} tokens.", "Shorten it.")
    if max(map(max, rows)) >= limits.vocab_size:
        raise InputError(
            f"A token is outside 0 to {limits.vocab_size - 1}, which the teacher knows.",
            "Take a student with the teacher's tokenizer.",
        )
    asked = _of_prompt(rows, request) if wanted is None else _of_completion(rows, wanted, limits)
    extra = 1 if wanted is None else wanted.top_k
    num_entries = sum(len(r.completion_ids) for r in asked.rollouts) * (asked.num_logprobs + extra)
    if num_entries > MAX_ENTRIES:
        raise InputError(f"More than {MAX_ENTRIES:,} logprobs at once.", "Send fewer rows.")
    return asked


def _of_prompt(rows: list[list[int]], request: CompletionRequest) -> Asked:
    """Every position behind the first; a last token of no meaning lets the next one be read."""
    rollouts = tuple(Rollout(0, (row[0],), (*row[1:], 0), (), "length") for row in rows)
    return Asked(rollouts, request.prompt_logprobs, None)


def _of_completion(rows: list[list[int]], wanted: Extension, limits: Limits) -> Asked:
    if len(wanted.starts) != len(rows) or any(
        start >= len(row) for start, row in zip(wanted.starts, rows, strict=True)
    ):
        raise InputError("starts must say for each row where its completion begins.")
    if wanted.vocab_size > limits.vocab_size or wanted.top_k > wanted.vocab_size:
        raise InputError("The teacher has fewer tokens than are asked for.")
    if max(token for row, s in zip(rows, wanted.starts, strict=True) for token in row[s:]) >= (
        wanted.vocab_size
    ):
        raise InputError("A completion has a token that student and teacher do not share.")
    nothing: tuple[list[list[int]], ...] = tuple(
        [[] for _ in row[s:]] for row, s in zip(rows, wanted.starts, strict=True)
    )
    also = wanted.also_ids or nothing
    num_also = _num_also(also, nothing, wanted.vocab_size)
    rollouts = tuple(
        Rollout(
            prompt_index=0,
            prompt_ids=tuple(row[:start]),
            completion_ids=tuple(row[start:]),
            logprobs=(),
            finish_reason="length",
            top_logprobs=tuple(TopLogprobs(tuple(i), ()) for i in ids),
        )
        for row, start, ids in zip(rows, wanted.starts, also, strict=True)
    )
    return Asked(rollouts, wanted.top_k + num_also, wanted)


def _num_also(
    also: Sequence[list[list[int]]], positions: Sequence[list[list[int]]], vocab_size: int
) -> int:
    """How many further ids each position has: as many as every other."""
    if [len(ids) for ids in also] != [len(row) for row in positions]:
        raise InputError("also_ids must have a list of ids for each position.")
    sizes = {len(ids) for row in also for ids in row}
    if len(sizes) != 1 or max(sizes) > MAX_LOGPROBS:
        raise InputError("also_ids must have equally many ids for each position.")
    if any(token >= vocab_size for row in also for ids in row for token in ids):
        raise InputError("also_ids has a token that student and teacher do not share.")
    return sizes.pop()
