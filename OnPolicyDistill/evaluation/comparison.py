"""Variants on the same items, compared in pairs: is the difference more than luck?

The bootstrap draws items with replacement and keeps both answers to an item together (Efron and
Tibshirani, An Introduction to the Bootstrap, 1993; Koehn 2004 for paired systems). McNemar's
counts say on how many items only one of the two is right (Psychometrika 12, 1947).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from OnPolicyDistill.errors import InputError
from OnPolicyDistill.evaluation.intervals import NUM_RESAMPLES, resample
from OnPolicyDistill.evaluation.labelled_report import Interval, PairComparison, Prediction


def compare_variants(
    variants: Mapping[str, Sequence[Prediction]], seed: int = 0, resamples: int = NUM_RESAMPLES
) -> tuple[PairComparison, ...]:
    """Compare every pair of variants, in their order.

    Raises:
        InputError: fewer than two variants, or they did not answer the same graded items.
    """
    if len(variants) < 2:
        raise InputError("There is only one variant.", "Name two or more to compare.")
    graded = {name: _graded(name, answers) for name, answers in variants.items()}
    return tuple(
        _compare(first, second, graded, seed, resamples)
        for first, second in combinations(graded, 2)
    )


def _graded(name: str, answers: Sequence[Prediction]) -> list[Prediction]:
    graded = sorted((p for p in answers if p.gold is not None), key=lambda p: p.index)
    if not graded:
        raise InputError(f"{name} has no items with gold labels.", "Give a labelled set.")
    return graded


def _compare(
    first: str, second: str, graded: Mapping[str, list[Prediction]], seed: int, resamples: int
) -> PairComparison:
    ours, theirs = graded[first], graded[second]
    if [(p.index, p.text, p.gold) for p in ours] != [(p.index, p.text, p.gold) for p in theirs]:
        raise InputError(
            f"{first} and {second} did not answer the same items ({len(ours)} and {len(theirs)}).",
            "Evaluate both on one file with the same seed and number of samples.",
        )
    right = np.array([[p.predicted == p.gold for p in answers] for answers in (ours, theirs)])
    differences = right[0].astype(np.int8) - right[1].astype(np.int8)  # (N,)
    interval = paired_bootstrap(differences, seed, resamples)
    better = first if interval.low > 0 else second if interval.high < 0 else None
    return PairComparison(
        first=first,
        second=second,
        num_items=len(ours),
        first_accuracy=float(right[0].mean()),
        second_accuracy=float(right[1].mean()),
        difference=float(differences.mean()),
        interval=interval,
        only_first=int((differences == 1).sum()),
        only_second=int((differences == -1).sum()),
        better=better,
    )


def paired_bootstrap(
    differences: np.ndarray[tuple[int, ...], np.dtype[np.int8]], seed: int, resamples: int
) -> Interval:
    """The 2.5th and 97.5th percentile of the mean of resampled per-item differences (N,)."""
    means = resample(differences.astype(float)[None], seed, resamples)[:, 0] / len(differences)
    low, high = np.percentile(means, (2.5, 97.5))
    return Interval(low=float(low), high=float(high))
