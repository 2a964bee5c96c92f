"""Whether logprobs noted while sampling are those that the learning policy gives the same tokens.

Decoding and scoring use other kernels, so the two differ by rounding: about as much as neighbouring
numbers of the hidden states' type differ at the size of the logits. Each limit is a multiple of
that, so that deep bfloat16 and 4-bit models pass and a shifted position, another temperature or a
missing mask does not. How the multiples were found: docs/proof-of-learning.md.

Letters: N completion positions, D hidden width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.arrays import float_list
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.chunks import map_chunks, rows_per_chunk
from OnPolicyDistill.losses.softened import soften
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.runs.events import Check

# Distance of neighbouring numbers between 1 and 2. Float32 products may keep TF32's ten bits only.
SPACINGS = {mx.bfloat16: 2.0**-7, mx.float16: 2.0**-10, mx.float32: 2.0**-10}
# Float32 log-softmax rounds too, where a token is certain and nothing else does. Nats.
SMALLEST_ROUNDING = 1e-5

# In roundings expected of a position; healthy kernels measured 0.4 to 1.4 (mean), to 2.6 (bias).
MEAN_LIMIT, DEVIATIONS = 3.0, 6.0
# In spacings at the largest logit; healthy kernels measured 8 at most.
STRAY_LIMIT = 16.0
TEMPERATURE_LIMIT = 0.03


@dataclass(frozen=True, slots=True)
class Rescored:
    """What the scored policy says of each sampled token; lists of N, nats.

    `leanings` is the derivative of a token's logprob in 1 / temperature. `spacings` is the distance
    of neighbouring numbers at the position's largest logit, `roundings` the error that such a
    spacing makes in the token's logprob: small where the token was certain.
    """

    logprobs: list[float]
    leanings: list[float]
    spacings: list[float]
    roundings: list[float]


def rescore(hidden: mx.array, head: VocabularyHead, labels: mx.array) -> Rescored:
    """Score labels (N,) from final hidden states (N, D) at temperature 1."""
    spacing = SPACINGS[hidden.dtype]

    def score(rows: mx.array, row_labels: mx.array) -> tuple[mx.array, ...]:
        policy = soften(head.logits(rows), 1.0)
        logprobs = policy.logprobs_of(row_labels[:, None])[:, 0]
        probabilities = policy.probabilities
        # Independent errors e of the logits change log p_i by e_i - sum_j p_j e_j.
        spread = 1 - 2 * mx.exp(logprobs) + (probabilities * probabilities).sum(axis=-1)
        largest = mx.maximum(mx.abs(policy.logits).max(axis=-1), 2.0**-10)
        spacings = spacing * mx.power(2.0, mx.floor(mx.log2(largest)))
        roundings = spacings * mx.sqrt(mx.maximum(spread, 0)) + SMALLEST_ROUNDING
        return logprobs, logprobs + policy.entropy(), spacings, roundings

    chunk_size = rows_per_chunk(head.vocab_size, None)
    scores = map_chunks(score, (mx.stop_gradient(hidden), labels), chunk_size)
    return Rescored(*map(float_list, scores))


def rescoring_checks(
    rollouts: Sequence[Rollout], rescored: Rescored, stop_ids: frozenset[int]
) -> tuple[Check, ...]:
    """Judge rollouts of the policy itself against their scores, in the rollouts' order."""
    whole = _whole_check(rollouts, stop_ids)
    sampled = [value for rollout in rollouts for value in rollout.logprobs]
    if len(sampled) != len(rescored.logprobs):
        return (whole,)
    differences = [a - b for a, b in zip(sampled, rescored.logprobs, strict=True)]
    return (
        whole,
        _mean_check(differences, rescored),
        _stray_check(differences, rescored),
        _bias_check(differences, rescored),
        _temperature_check(differences, rescored),
    )


def _whole_check(rollouts: Sequence[Rollout], stop_ids: frozenset[int]) -> Check:
    broken = sum(not _is_whole(rollout, stop_ids) for rollout in rollouts)
    return Check.at_most(
        "completions_whole",
        "Each completion has one logprob a token, and its end-of-sequence token where it ended "
        "(how many have not).",
        broken,
        0,
    )


def _is_whole(rollout: Rollout, stop_ids: frozenset[int]) -> bool:
    *inner, last = rollout.completion_ids
    ended = last in stop_ids and not stop_ids.intersection(inner)
    return len(rollout.logprobs) == len(rollout.completion_ids) and (
        ended == (rollout.finish_reason == "stop")
    )


def _mean_check(differences: list[float], rescored: Rescored) -> Check:
    sizes = sorted(map(abs, differences))
    expected = sum(rescored.roundings) / len(sizes)
    return Check.at_most(
        "logprobs_match",
        "Logprobs noted while sampling equal re-scored ones (mean difference, nats).",
        sum(sizes) / len(sizes),
        MEAN_LIMIT * expected,
        {"p99": sizes[math.ceil(0.99 * len(sizes)) - 1], "max": sizes[-1], "tokens": len(sizes)},
    )


def _stray_check(differences: list[float], rescored: Rescored) -> Check:
    strays = [abs(d) / spacing for d, spacing in zip(differences, rescored.spacings, strict=True)]
    return Check.at_most(
        "logprobs_near",
        "No single one is far off (largest difference, in spacings of the logits' type).",
        max(strays, key=_nan_first),
        STRAY_LIMIT,
    )


def _nan_first(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _bias_check(differences: list[float], rescored: Rescored) -> Check:
    num_tokens = len(differences)
    deviation = math.hypot(*rescored.roundings) / num_tokens
    return Check.at_most(
        "logprobs_unbiased",
        "They are neither higher nor lower than re-scored ones on average (nats).",
        abs(sum(differences)) / num_tokens,
        DEVIATIONS * deviation,
    )


def _temperature_check(differences: list[float], rescored: Rescored) -> Check:
    """Fit log q - log p = (1 / T - 1) * leaning, to first order, and judge 1 / T - 1."""
    leanings = rescored.leanings
    weight = math.fsum(x * x for x in leanings) + SMALLEST_ROUNDING**2
    slope = math.fsum(d * x for d, x in zip(differences, leanings, strict=True)) / weight
    errors = [r * x for r, x in zip(rescored.roundings, leanings, strict=True)]
    return Check.at_most(
        "temperature_matches",
        "They were sampled at the temperature that is scored (relative difference).",
        abs(slope),
        TEMPERATURE_LIMIT + DEVIATIONS * math.hypot(*errors) / weight,
    )
