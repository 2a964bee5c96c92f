"""Intervals over prompts: what they cover, what they pair, and that they repeat."""

from __future__ import annotations

import math

import numpy as np
import pytest

from OnPolicyDistill.evaluation.intervals import (
    measure,
    paired_change,
    resample,
    share_of,
    sums_by_row,
)
from OnPolicyDistill.runs.prompt_values import PromptValues

KEY = "eval_reverse_kl"


def values_of(
    means: list[float], tokens: list[int], prompts: list[int] | None = None
) -> PromptValues:
    sums = tuple(mean * count for mean, count in zip(means, tokens, strict=True))
    return PromptValues(
        prompts=tuple(prompts or range(len(means))), tokens=tuple(tokens), token_sums={KEY: sums}
    )


def drawn(num_prompts: int, seed: int, shift: float = 0.0) -> PromptValues:
    """Prompts of different difficulty and length; `shift` is added to every token of all."""
    generator = np.random.default_rng(seed)
    hard = generator.gamma(0.5, 0.4, num_prompts) + shift
    return values_of(list(hard), [int(n) for n in generator.integers(5, 15, num_prompts)])


def test_a_token_mean_weighs_prompts_by_their_tokens() -> None:
    assert measure(values_of([1.0, 4.0], [30, 10]), 0).metrics[KEY] == pytest.approx(1.75)


def test_the_interval_is_as_wide_as_the_standard_error_of_a_ratio_says() -> None:
    values = drawn(400, seed=1)
    measured = measure(values, 0)
    mean, (low, high) = measured.metrics[KEY], measured.intervals[KEY]
    sums, tokens = np.array(values.token_sums[KEY]), np.array(values.tokens)
    # Linearized: the residuals of the ratio, over the mean number of tokens.
    error = np.std(sums - mean * tokens) / tokens.mean() / math.sqrt(400)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert low < mean < high


def test_ninety_five_of_a_hundred_intervals_hold_the_true_mean() -> None:
    found = [measure(drawn(100, seed), seed).intervals[KEY] for seed in range(200)]
    covered = sum(low <= 0.2 <= high for low, high in found)
    # 190 expected; the gamma's long tail costs a few. Six standard deviations below is 172.
    assert 172 <= covered <= 200


def test_the_same_seed_gives_the_same_interval_to_the_bit() -> None:
    values = drawn(50, 3)
    assert measure(values, 7) == measure(values, 7)
    assert measure(values, 7).intervals != measure(values, 8).intervals


def test_one_prompt_has_a_mean_and_no_interval() -> None:
    measured = measure(values_of([2.0], [3]), 0)
    assert measured.metrics[KEY] == pytest.approx(2.0)
    assert measured.intervals == {}


def test_shares_of_prompts_have_wilsons_interval_even_where_all_agree() -> None:
    share, (low, high) = share_of((1.0,) * 20 + (None,) * 5)
    assert (share, high) == (1.0, 1.0)
    assert low == pytest.approx(1 - 0.1611, abs=1e-4)


def test_a_change_that_every_prompt_shows_is_seen_where_the_means_overlap() -> None:
    before, after = drawn(100, 5), drawn(100, 5, shift=-0.01)
    one, other = (measure(values, 0).intervals[KEY] for values in (before, after))
    assert other[1] > one[0]
    change = paired_change(before, after, KEY, 0)
    assert change == pytest.approx((-0.01, -0.01))


def test_a_change_that_prompts_disagree_on_is_chance() -> None:
    change = paired_change(drawn(100, 5), drawn(100, 6), KEY, 0)
    assert change is not None
    assert change[0] < 0 < change[1]


def test_prompts_are_paired_by_their_place_in_the_file() -> None:
    before = values_of([1.0, 2.0, 3.0], [4, 4, 4], [0, 5, 9])
    after = values_of([2.5, 1.5, 7.0], [4, 4, 4], [5, 0, 8])
    assert paired_change(before, after, KEY, 0) == pytest.approx((0.5, 0.5))
    alone = values_of([1.0], [4], [9])
    assert paired_change(before, alone, KEY, 0) is None


def test_sums_of_rows_are_cut_where_the_rows_end() -> None:
    assert sums_by_row([1.0, 2.0, 3.0, 4.0, 5.0], [2, 1, 2]) == (3.0, 3.0, 9.0)


def test_of_many_prompts_fewer_resamples_are_drawn() -> None:
    shapes = [resample(np.ones((1, P)), 0).shape for P in (10, 5_000, 40_000)]
    assert shapes == [(10_000, 1), (2_000, 1), (1_000, 1)]


def test_shares_are_paired_by_prompt_without_those_that_are_not_counted() -> None:
    marks = {"eval_accuracy": (0.0, 1.0, None, 0.0)}
    before = PromptValues(prompts=(0, 1, 2, 3), tokens=(9,) * 4, token_sums={}, shares=marks)
    right = {"eval_accuracy": (1.0, 1.0, 1.0, 1.0)}
    after = before.model_copy(update={"shares": right})
    change = paired_change(before, after, "eval_accuracy", 0)
    assert change is not None
    # Two of the three counted prompts became right; a draw of the third alone has no change.
    assert change == (0.0, 1.0)
    assert paired_change(after, before, "eval_accuracy", 0) == (-1.0, 0.0)
