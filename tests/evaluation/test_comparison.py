import numpy as np
import pytest

from OnPolicyDistill.errors import InputError
from OnPolicyDistill.evaluation.comparison import compare_variants, paired_bootstrap
from OnPolicyDistill.evaluation.labelled_report import Prediction


def graded(right: list[bool], text: str = "text") -> list[Prediction]:
    return [
        Prediction(
            index=i,
            text=f"{text} {i}",
            gold="a",
            predicted="a" if is_right else "b",
            reply="",
            num_tokens=1,
            seconds=0.0,
            finish_reason="stop",
        )
        for i, is_right in enumerate(right)
    ]


def test_a_clear_difference_names_the_better_variant() -> None:
    strong, weak = graded([True] * 90 + [False] * 10), graded([True] * 50 + [False] * 50)
    (pair,) = compare_variants({"strong": strong, "weak": weak})
    assert (pair.only_first, pair.only_second, pair.num_items) == (40, 0, 100)
    assert pair.difference == pytest.approx(0.4)
    assert pair.better == "strong"
    # Standard error of a share of 0.4 on 100 items is 0.049.
    assert pair.interval.low == pytest.approx(0.4 - 1.96 * 0.049, abs=0.015)
    assert pair.interval.high == pytest.approx(0.4 + 1.96 * 0.049, abs=0.015)


def test_no_winner_is_named_inside_the_interval() -> None:
    first = graded([True] * 10 + [False] * 10)
    second = graded([False, False, *([True] * 9), *([False] * 9)])
    (pair,) = compare_variants({"first": first, "second": second})
    assert (pair.only_first, pair.only_second) == (2, 1)
    assert pair.interval.low < 0 < pair.interval.high
    assert pair.better is None


def test_equal_answers_differ_by_nothing() -> None:
    (pair,) = compare_variants({"a": graded([True, False]), "b": graded([True, False])})
    assert (pair.interval.low, pair.interval.high, pair.better) == (0.0, 0.0, None)


def test_the_bootstrap_repeats_with_its_seed() -> None:
    differences = np.array([1, 0, 0, -1, 1, 1, 0], dtype=np.int8)
    assert paired_bootstrap(differences, 3, 1000) == paired_bootstrap(differences, 3, 1000)
    assert paired_bootstrap(differences, 3, 1000) != paired_bootstrap(differences, 4, 1000)


def test_different_items_are_refused_in_words() -> None:
    with pytest.raises(InputError, match="the same items"):
        compare_variants({"a": graded([True]), "b": graded([True], "other")})
    with pytest.raises(InputError, match="only one variant"):
        compare_variants({"a": graded([True])})


def test_three_variants_make_three_pairs() -> None:
    pairs = compare_variants({name: graded([True, False]) for name in "abc"}, resamples=10)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
