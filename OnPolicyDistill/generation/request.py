"""What is asked of the generation loop, and what comes out of it token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.generation.prefill import Prefix
from OnPolicyDistill.generation.sampling import THE_POLICY, SamplingSettings
from OnPolicyDistill.pictures import FIRST_PICTURE_ID
from OnPolicyDistill.rollout import FinishReason, Rollout, TopLogprobs


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """Prompts to complete, each with the seed of its own stream of random numbers.

    Every id of `stop_ids` ends a completion and belongs to it. `vocab_size` is the tokenizer's
    real size: wider logits are cut before any softmax. `banned_ids` are never drawn, and logprobs
    are then those of the distribution without them. `num_top_logprobs` and `full_logprobs` ask
    for the policy's own logprobs at temperature 1 (no cuts, no bans) at every step. At most
    `max_rows` prompts are decoded at once; the next ones join as rows finish. `prefix` is what the
    model has read already (generation/prefill.py); it is used where every prompt begins with it.
    Prompts may hold places of pictures (pictures.py) where the model sees.
    """

    prompts: Sequence[Sequence[int]]
    seeds: Sequence[int]
    stop_ids: frozenset[int]
    vocab_size: int
    max_tokens: int
    sampling: SamplingSettings = THE_POLICY
    banned_ids: frozenset[int] = frozenset()
    num_top_logprobs: int = 0
    full_logprobs: bool = False
    max_rows: int = 8
    prefix: Prefix | None = None

    def __post_init__(self) -> None:
        self._check_prompts()
        if self.max_tokens < 1 or self.max_rows < 1:
            raise ValueError("max_tokens and max_rows must be at least 1.")
        if not 0 <= self.num_top_logprobs <= self.vocab_size:
            raise ValueError(f"num_top_logprobs must be between 0 and {self.vocab_size}.")
        if not self.banned_ids < frozenset(range(self.vocab_size)):
            raise ValueError(f"banned_ids must be some, not all, of 0 to {self.vocab_size - 1}.")

    def _check_prompts(self) -> None:
        if len(self.seeds) != len(self.prompts):
            raise ValueError(f"{len(self.prompts)} prompts, but {len(self.seeds)} seeds.")
        if not all(0 <= seed < 2**64 for seed in self.seeds):
            raise ValueError("Seeds must be whole numbers from 0 to 2**64 - 1.")
        for index, prompt in enumerate(self.prompts):
            if not prompt:
                raise ValueError(f"Prompt {index} is empty: give it at least one token.")
            words = [token for token in prompt if token < FIRST_PICTURE_ID]
            if not (words and 0 <= min(words) <= max(words) < self.vocab_size):
                raise ValueError(f"Prompt {index} has a token outside 0 to {self.vocab_size - 1}.")
            if prompt[-1] >= FIRST_PICTURE_ID:
                raise ValueError(f"Prompt {index} ends in a picture: let a word follow it.")


def _ignore(_num_tokens: int) -> None:
    pass


def _unheard(_rollout: Rollout) -> None:
    pass


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class GenerationHooks:
    """`progress` hears the number of tokens of each step; `should_stop` is asked before each.

    `finished` hears each rollout as soon as it is whole, while others are still written.
    """

    progress: Callable[[int], None] = _ignore
    should_stop: Callable[[], bool] = _never
    finished: Callable[[Rollout], None] = _unheard


NO_HOOKS = GenerationHooks()


@dataclass(frozen=True, slots=True)
class Token:
    """One token of one completion; `finish_reason` is set on a completion's last one.

    `logprob` (nats) is as in `Rollout`; `full_logprobs` is (V,) float32 where asked for.
    """

    prompt_index: int
    id: int
    logprob: float
    finish_reason: FinishReason | None = None
    top_logprobs: TopLogprobs | None = None
    full_logprobs: mx.array | None = None
