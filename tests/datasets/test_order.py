"""The order of rows: nothing twice, nothing left out, the same again after a resume."""

import numpy as np
import pytest

from OnPolicyDistill.datasets.order import bucketed_rows, drawn_evenly, row_at

LENGTHS = [int(length) for length in np.random.default_rng(0).integers(5, 500, 300)]


def batches(lengths: list[int], batch_size: int, num_batches: int, seed: int = 0) -> np.ndarray:
    rows = bucketed_rows(range(num_batches * batch_size), lengths, batch_size, seed)
    return np.array([lengths[row] for row in rows]).reshape(num_batches, batch_size)


def test_plain_rows_come_once_an_epoch() -> None:
    rows = [row_at(number, 7, 3) for number in range(14)]
    assert sorted(rows[:7]) == sorted(rows[7:]) == list(range(7))
    assert rows[:7] != rows[7:]


def test_a_part_of_a_sorted_file_stands_for_all_of_it() -> None:
    styles = [0] * 100 + [1] * 50 + [2] * 50
    drawn = drawn_evenly(200, 20, seed=4)
    assert list(drawn) == sorted(set(drawn))
    assert [styles[row] for row in drawn] == [0] * 10 + [1] * 5 + [2] * 5


def test_which_rows_are_drawn_depends_on_the_seed_alone_and_all_can_be() -> None:
    assert drawn_evenly(50, 8, 1) == drawn_evenly(50, 8, 1)
    assert drawn_evenly(50, 8, 1) != drawn_evenly(50, 8, 2)
    assert {row for seed in range(200) for row in drawn_evenly(50, 8, seed)} == set(range(50))


@pytest.mark.parametrize("wanted", [5, 6, 100])
def test_a_part_as_large_as_the_file_is_the_file(wanted: int) -> None:
    assert drawn_evenly(5, wanted, 0) == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("num_rows", [1, 3, 7, 8, 300])
@pytest.mark.parametrize("batch_size", [1, 4, 5])
def test_bucketed_rows_come_once_an_epoch_too(num_rows: int, batch_size: int) -> None:
    lengths = LENGTHS[:num_rows]
    rows = bucketed_rows(range(5 * num_rows), lengths, batch_size, 0)
    for epoch in range(5):
        part = rows[epoch * num_rows : (epoch + 1) * num_rows]
        assert sorted(part) == list(range(num_rows))


def test_any_stretch_of_a_run_has_the_rows_that_the_whole_run_has_there() -> None:
    whole = bucketed_rows(range(1000), LENGTHS, 4, 7)
    for start, stop in ((0, 8), (296, 304), (299, 300), (592, 640), (0, 0), (900, 1000)):
        assert bucketed_rows(range(start, stop), LENGTHS, 4, 7) == whole[start:stop]
    assert bucketed_rows(range(1000), LENGTHS, 4, 8) != whole


def test_rows_of_similar_length_share_a_micro_batch_in_every_epoch() -> None:
    spread = np.ptp(batches(LENGTHS, 8, 112), axis=1)  # three epochs of 37.5 micro-batches
    assert np.median(spread) < 40
    assert (spread > 200).sum() <= 4  # those at the ends of epochs, and the last window's


def test_short_micro_batches_do_not_all_come_first() -> None:
    longest = batches(LENGTHS, 4, 75).max(axis=1)
    assert abs(longest[:37].mean() - longest[37:].mean()) < 100
    assert abs(np.corrcoef(longest, np.arange(75))[0, 1]) < 0.4


def test_padding_shrinks() -> None:
    bucketed = batches(LENGTHS, 8, 37)
    plain = np.array([LENGTHS[row_at(n, 300, 0)] for n in range(296)]).reshape(37, 8)
    wasted = [1 - rows.sum() / (8 * rows.max(axis=1).sum()) for rows in (plain, bucketed)]
    assert wasted[0] > 0.4
    assert wasted[1] < 0.1
