"""Metric pyramids: every zoom shows every spike, appended or cut in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.history.series import Series


def filled(values: list[float]) -> Series:
    series = Series()
    for step, value in enumerate(values):
        series.append(step, float(step), value)
    return series


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(1, 64),
)
def test_buckets_hold_exactly_the_points_of_their_range(
    values: list[float], first: int, last: int, px: int
) -> None:
    series = filled(values)
    points = series.points(first, last, px)
    inside = values[first : last + 1]
    assert points.num_points == len(inside)
    if not inside:
        assert len(points.mean) == 0
        return
    assert len(points.mean) <= px + 2
    begin = first // points.bucket * points.bucket
    for number, (low, high, mean) in enumerate(
        zip(points.minimum, points.maximum, points.mean, strict=True)
    ):
        start = begin + number * points.bucket
        bucket = values[start : start + points.bucket]
        assert low == min(bucket)
        assert high == max(bucket)
        assert mean == pytest.approx(float(np.mean(bucket)), rel=1e-9, abs=1e-6)
        assert points.step[number] == start + len(bucket) - 1
    assert points.minimum.min() <= min(inside)
    assert points.maximum.max() >= max(inside)


def test_buckets_do_not_move_while_points_are_appended() -> None:
    values = [float(number % 7) for number in range(1000)]
    early, late = filled(values[:900]), filled(values[:900])
    late.points(None, None, 10)
    for step in range(900, 1000):
        late.append(step, 0.0, values[step])
    before, after = early.points(0, 700, 10), late.points(0, 700, 10)
    assert before.bucket == after.bucket
    assert before.mean[:5].tolist() == after.mean[:5].tolist()


def test_a_cut_takes_back_what_a_resume_undid() -> None:
    series = filled([1.0] * 100)
    series.points(None, None, 3)
    series.cut(49)
    for step in range(50, 100):
        series.append(step, 0.0, 5.0)
    points = series.points(None, None, 2)
    assert points.maximum[-1] == 5.0
    assert series.points(0, 49, 1).maximum[0] == 1.0
    assert len(series) == 100


def test_a_step_reported_again_replaces_the_first_report() -> None:
    series = filled([1.0, 2.0, 3.0])
    series.append(1, 9.0, 7.0)
    assert series.values.tolist() == [1.0, 7.0]


def test_a_single_spike_shows_at_every_zoom() -> None:
    values = [0.0] * 100_000
    values[73_211] = 1.0
    series = filled(values)
    for px in (1, 10, 333, 2000):
        assert series.points(None, None, px).maximum.max() == 1.0
        assert series.points(70_000, 80_000, px).maximum.max() == 1.0
