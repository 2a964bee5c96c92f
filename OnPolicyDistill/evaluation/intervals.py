"""How sure a held-out mean is: 95 % intervals over prompts, and over pairs of evaluations.

Prompts are what an evaluation draws, so prompts are what the bootstrap draws again (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993). A mean over tokens is a ratio of two sums over
prompts, and both are drawn together. Shares of prompts have Wilson's interval, which is not empty
where all prompts agree.

Letters: P prompts, R resamples, K sums that are drawn together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from OnPolicyDistill.evaluation.labelled_report import Interval
from OnPolicyDistill.runs.events import TeacherFigures
from OnPolicyDistill.runs.held_out_answers import NO_ANSWERS, HeldOutAnswers
from OnPolicyDistill.runs.prompt_values import PromptValues

Z_95 = 1.959963984540054  # the 97.5th percentile of the standard normal distribution
NUM_RESAMPLES = 10_000
# Of many prompts fewer resamples are drawn: percentiles of 1,000 are off by 3 % of the width.
FEWEST_RESAMPLES = 1_000
MOST_DRAWS = 10_000_000
DRAWS_AT_ONCE = 1_000_000
# The interval of a single prompt would be empty, as if it were certain.
FEWEST_PROMPTS = 2

Floats = NDArray[np.float64]
Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Measured:
    """Held-out metrics with their intervals, and the values of each prompt they come from.

    Where a run has several teachers, also the metrics on the prompts of each.
    `by_position` has the reverse KL at every position of the completions, summed over them; empty
    where none was measured. `answers` are the first completions, for people.
    """

    metrics: dict[str, float]
    intervals: dict[str, Bounds]
    values: PromptValues
    by_teacher: tuple[TeacherFigures, ...] = ()
    by_position: tuple[float, ...] = ()
    answers: HeldOutAnswers = NO_ANSWERS


def measure(values: PromptValues, seed: int) -> Measured:
    """Means of everything that was measured on each prompt, with 95 % intervals."""
    metrics, intervals = {}, {}
    tokens = np.array(values.tokens, float)
    sums = np.array([*values.token_sums.values()], float).reshape(-1, len(tokens))  # (K, P)
    for key, total in zip(values.token_sums, sums.sum(axis=1), strict=True):
        metrics[key] = float(total / tokens.sum())
    if len(tokens) >= FEWEST_PROMPTS:
        drawn = resample(np.stack([tokens, *sums]), seed)  # (R, 1 + K)
        for place, key in enumerate(values.token_sums, start=1):
            intervals[key] = _bounds(drawn[:, place] / drawn[:, 0])
    for key, marks in values.shares.items():
        metrics[key], intervals[key] = share_of(marks)
    return Measured(metrics, intervals, values)


def sums_by_row(values: Sequence[float], lengths: Sequence[int]) -> tuple[float, ...]:
    """Add up the values of each row, whose lengths are given; seven digits, as they are kept."""
    starts = np.cumsum([0, *lengths[:-1]])
    sums = np.add.reduceat(np.array(values, float), starts)
    return tuple(float(f"{total:.7g}") for total in sums)


def share_of(marks: tuple[float | None, ...]) -> tuple[float, Bounds]:
    """The share of prompts marked 1.0 among those that count, with Wilson's interval."""
    counted = [mark for mark in marks if mark is not None]
    interval = wilson_interval(round(sum(counted)), len(counted))
    return sum(counted) / len(counted), (interval.low, interval.high)


def mean_interval(values: Floats, seed: int) -> Bounds | None:
    """Interval of the mean of one value a prompt (P,); None where there are too few."""
    if len(values) < FEWEST_PROMPTS:
        return None
    return _bounds(resample(values[None], seed)[:, 0] / len(values))


def paired_change(before: PromptValues, after: PromptValues, key: str, seed: int) -> Bounds | None:
    """Interval of a mean after minus before, both drawn on the same prompts.

    The mean is over tokens or over prompts, as the metric is kept. None where fewer than two
    prompts were measured both times.
    """
    ours, theirs = _by_prompt(after, key), _by_prompt(before, key)
    shared = sorted(ours.keys() & theirs.keys())
    if len(shared) < FEWEST_PROMPTS:
        return None
    rows = [(*ours[prompt], *theirs[prompt]) for prompt in shared]
    drawn = resample(np.array(rows, float).T, seed)  # (R, 4)
    return _bounds(drawn[:, 0] / drawn[:, 1] - drawn[:, 2] / drawn[:, 3])


def _by_prompt(values: PromptValues, key: str) -> dict[int, tuple[float, float]]:
    """Each counted prompt's sum and what it is divided by: its tokens, or 1 for a share."""
    if key in values.token_sums:
        parts = zip(values.token_sums[key], values.tokens, strict=True)
        return dict(zip(values.prompts, parts, strict=True))
    marks = zip(values.prompts, values.shares[key], strict=True)
    return {prompt: (mark, 1) for prompt, mark in marks if mark is not None}


def resample(sums: Floats, seed: int, resamples: int | None = None) -> Floats:
    """Draw prompts with replacement and add up their values: (K, P) gives (R, K).

    The additions have a fixed order, so the same program gives the same bits.
    """
    P = sums.shape[1]
    if resamples is None:
        resamples = max(FEWEST_RESAMPLES, min(NUM_RESAMPLES, MOST_DRAWS // P))
    generator = np.random.default_rng(seed)
    return np.concatenate([*_draws(np.ascontiguousarray(sums), generator, resamples)])


def _draws(sums: Floats, generator: np.random.Generator, resamples: int) -> Iterator[Floats]:
    P = sums.shape[1]
    at_once = max(1, DRAWS_AT_ONCE // P)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = generator.integers(0, P, (rows, P)) + P * np.arange(rows)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * P).reshape(rows, P)
        yield np.einsum("rp,kp->rk", counts.astype(float), sums)


def _bounds(drawn: Floats) -> Bounds:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


def wilson_interval(num_correct: int, num_items: int, z: float = Z_95) -> Interval:
    """Return the score interval of a share.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    JASA 22 (1927), 209-212.
    """
    if not 0 <= num_correct <= num_items or num_items == 0:
        raise ValueError("num_correct must be between 0 and num_items, which is at least 1.")
    share, spread = num_correct / num_items, z * z / num_items
    middle = share + spread / 2
    reach = z * math.sqrt(share * (1 - share) / num_items + spread / (4 * num_items))
    low, high = (middle - reach) / (1 + spread), (middle + reach) / (1 + spread)
    return Interval(low=max(low, 0.0), high=min(high, 1.0))
