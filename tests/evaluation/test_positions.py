"""Where in completions the held-out divergence lies."""

from __future__ import annotations

import math

import pytest

from OnPolicyDistill.evaluation.positions import flattened_at, sums_by_position


def test_positions_are_added_up_over_the_rows_that_reach_them() -> None:
    values = [1.0, 2.0, 3.0, 10.0, 0.5, 0.25]
    assert sums_by_position(values, [3, 1, 2]) == (11.5, 2.25, 3.0)


@pytest.mark.parametrize(
    ("sums", "position"),
    [
        ((9.0, 0.91, 0.06, 0.03), 2),  # 9.9 of 10 is reached at the second
        ((9.0, 0.89, 0.08, 0.03), 3),
        ((1.0,) * 10, 10),  # a curve that never falls
        ((0.0, 0.0, 5.0, 0.0), 3),  # what is to learn comes late
        ((0.0, 0.0, 0.0), 3),  # nothing to learn says nothing of where
        ((2.0, -1e-7, -1e-7), 1),
        ((2.0, math.nan, 1.0), 3),  # a student that is broken says nothing either
        ((2.0, math.inf, 1.0), 3),
    ],
)
def test_the_divergence_has_flattened_where_a_hundredth_of_it_is_left(
    sums: tuple[float, ...], position: int
) -> None:
    assert flattened_at(sums) == position
