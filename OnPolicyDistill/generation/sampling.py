"""Draw the next token of every row, each row from its own stream of random numbers.

Order of the cuts: temperature first, then top-k, top-p over what top-k left, min-p. This is the
order of Hugging Face transformers, for which model cards recommend their settings; mlx-lm's
samplers cut the untempered distribution and apply the temperature last, so equal settings keep
other tokens there.

Drawing inverts the cumulative distribution in two levels, a block of the vocabulary and then a
token within it: two random numbers a row instead of one a token, one exponential for both the draw
and its logprob, and no token of small probability lost in a long float32 sum.

Letters: B rows, V vocabulary, S tokens in a block, K blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.exponentials import exponential
from OnPolicyDistill.vocabulary import log_partition, running_sum_before, vocabulary_sum

BLOCK_TOKENS = 512
LARGEST_SHARE = 1 - 2**-24


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How the next token is drawn: `temperature` 0 takes the best one; 0 turns `top_k` off."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ValueError(f"temperature must be 0 or a positive number, not {self.temperature}.")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, not {self.top_p}.")
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 (off) or positive, not {self.top_k}.")
        if not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be between 0 and 1, not {self.min_p}.")

    @property
    def is_greedy(self) -> bool:
        """Whether the most probable token is taken, without randomness."""
        return self.temperature == 0

    @property
    def is_untruncated(self) -> bool:
        """Whether every token can be drawn: no cut and not greedy."""
        return not self.is_greedy and (self.top_p, self.top_k, self.min_p) == (1.0, 0, 0.0)

    @property
    def is_the_policy(self) -> bool:
        """Whether draws follow the policy itself, which sampled reverse KL needs."""
        return self.is_untruncated and self.temperature == 1


THE_POLICY = SamplingSettings()
GREEDY = SamplingSettings(temperature=0.0)


def row_keys(seeds: Sequence[int]) -> mx.array:
    """One random key a seed, (B, 2) uint32; seeds that lie side by side give unrelated keys."""
    return mx.stack([mx.random.split(mx.random.key(seed))[0] for seed in seeds])


def next_keys(keys: mx.array) -> mx.array:
    """The keys of the following position: row keys are counted on, so none depends on a length."""
    return keys + mx.array([0, 1], dtype=mx.uint32)


def sample(
    logits: mx.array, settings: SamplingSettings, keys: mx.array
) -> tuple[mx.array, mx.array]:
    """Draw ids (B,) from float32 logits (B, V) with keys (B, 2), and their logprobs (B,).

    The logprobs (nats) are those of the distribution that was drawn from, after temperature and
    cuts; greedy ones are the policy's own at temperature 1.
    """
    if settings.is_greedy:
        ids = mx.argmax(logits, axis=-1)
        return ids, chosen(logits, ids) - log_partition(logits)[:, 0]
    tempered = truncated(logits / settings.temperature, settings)
    relative = tempered - mx.max(tempered, axis=-1, keepdims=True)
    weights = exponential(relative)
    ids = _drawn(weights, keys)
    return ids, chosen(relative, ids) - mx.log(vocabulary_sum(weights)[:, 0])


def truncated(logits: mx.array, settings: SamplingSettings) -> mx.array:
    """Tempered logits (B, V) with -inf on every token that is cut; equals of the last kept stay."""
    if settings.is_untruncated:
        return logits
    floor = mx.full((logits.shape[0], 1), -math.inf)
    candidates = logits
    if 0 < settings.top_k < logits.shape[-1]:
        candidates = mx.topk(logits, settings.top_k, axis=-1)
        floor = mx.min(candidates, axis=-1, keepdims=True)
    if settings.top_p < 1:
        floor = mx.maximum(floor, _top_p_floor(candidates, settings.top_p))
    if settings.min_p > 0:
        best = mx.max(logits, axis=-1, keepdims=True)
        floor = mx.maximum(floor, best + math.log(settings.min_p))
    return mx.where(logits < floor, -math.inf, logits)


def chosen(values: mx.array, ids: mx.array) -> mx.array:
    """The value of each row's id: (B, V) and (B,) -> (B,)."""
    return mx.take_along_axis(values, ids[:, None], axis=-1)[:, 0]


def _top_p_floor(candidates: mx.array, top_p: float) -> mx.array:
    """Least logit of the smallest set of best candidates whose mass reaches top_p, (B, 1)."""
    best_first = -mx.sort(-candidates, axis=-1)
    weights = exponential(best_first - best_first[:, :1])
    mass_before = running_sum_before(weights / vocabulary_sum(weights))
    kept = mx.where(mass_before < top_p, best_first, math.inf)
    return mx.min(kept, axis=-1, keepdims=True)


def _drawn(weights: mx.array, keys: mx.array) -> mx.array:
    """Ids (B,) with probability proportional to the weights (B, V)."""
    B, V = weights.shape
    uniform = mx.vmap(lambda key: mx.random.uniform(shape=(2,), key=key))(keys)  # (B, 2)
    if V <= BLOCK_TOKENS:
        return _inverted(weights, uniform[:, 0])
    blocks = mx.pad(weights, [(0, 0), (0, -V % BLOCK_TOKENS)]).reshape(B, -1, BLOCK_TOKENS)
    block = _inverted(mx.sum(blocks, axis=-1), uniform[:, 0])  # (B,)
    inside = mx.take_along_axis(blocks, block[:, None, None], axis=1)[:, 0]  # (B, S)
    return block * BLOCK_TOKENS + _inverted(inside, uniform[:, 1])


def _inverted(weights: mx.array, uniform: mx.array) -> mx.array:
    """The index (B,) at which the running sum of weights (B, K) passes a share (B,) of the total.

    Weight 0 is never picked, although a parallel scan may round the running sum upwards there and
    the share may round to the total.
    """
    sums = mx.cumsum(weights, axis=-1)
    if mx.default_device().type == mx.DeviceType.cpu:
        # Sums of one number after the other do not fall where a weight is above 0, nor rise where
        # it is 0; and the largest share leads to a float32 below the whole.
        share = mx.minimum(uniform, LARGEST_SHARE)
        return mx.sum(sums <= share[:, None] * sums[:, -1:], axis=-1)
    passed = (sums > uniform[:, None] * sums[:, -1:]) & (weights > 0)
    fallback = mx.argmax(weights, axis=-1)
    return mx.where(mx.any(passed, axis=-1), mx.argmax(passed, axis=-1), fallback)
