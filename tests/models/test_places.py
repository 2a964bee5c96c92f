import numpy as np
import pytest

from OnPolicyDistill.errors import ModelError, RunError
from OnPolicyDistill.models.places import Places, find_places
from OnPolicyDistill.pictures import PictureBook, Sight
from tests.seeing_models import a_picture

SIGHT = Sight(16, 2, (0.5,) * 3, (0.5,) * 3, 1024, 1 << 20)
BOOK = PictureBook()
WIDE = a_picture(SIGHT, 2, 3, seed=1)
SMALL = a_picture(SIGHT, 1, 2, seed=2)
WIDE_IDS, SMALL_IDS = list(BOOK.ids_of(WIDE)), list(BOOK.ids_of(SMALL))
ROW = [5, *WIDE_IDS, 6, 7, *SMALL_IDS, *WIDE_IDS, 8]


def found(*rows: list[int], start: int = 0, shifts: tuple[int, ...] | None = None) -> Places:
    tokens = np.array(rows)
    B = len(rows)
    return find_places(tokens, BOOK, [start] * B, shifts or (0,) * B, SIGHT.place_size)


def test_places_of_a_picture_differ_in_row_and_column_and_words_follow_the_longer_side() -> None:
    places = found(ROW)
    moment, row, column = places.positions[:, 0].tolist()
    assert moment == [0, 1, 1, 1, 1, 1, 1, 4, 5, 6, 6, 8, 8, 8, 8, 8, 8, 11]
    assert row == [0, 1, 1, 1, 2, 2, 2, 4, 5, 6, 6, 8, 8, 8, 9, 9, 9, 11]
    assert column == [0, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 8, 9, 10, 11]
    assert places.shifts == (3 - 6 + 2 - 2 + 3 - 6,)


def test_features_of_a_picture_that_comes_twice_stand_in_the_table_once() -> None:
    places = found(ROW)
    assert places.pictures == (WIDE, SMALL)
    assert places.rows[0].tolist() == [-1, *range(6), -1, -1, 6, 7, *range(6), -1]


@pytest.mark.parametrize("cut", range(1, len(ROW)))
def test_a_row_that_is_read_in_two_pieces_has_the_positions_of_the_whole(cut: int) -> None:
    whole, first = found(ROW), found(ROW[:cut])
    second = found(ROW[cut:], start=cut, shifts=first.shifts)
    joined = np.concatenate([first.positions, second.positions], axis=2)
    assert np.array_equal(joined, whole.positions)
    assert second.shifts == whole.shifts


def test_rows_of_a_batch_do_not_know_of_each_other() -> None:
    width = len(ROW)
    words = list(range(10, 10 + width))
    batch = found(words, ROW, [*SMALL_IDS, *[0] * (width - 2)], shifts=(-4, 0, 0))
    assert batch.positions[:, 0].tolist() == [list(range(-4, width - 4))] * 3
    assert np.array_equal(batch.positions[:, 1], found(ROW).positions[:, 0])
    assert batch.shifts == (-4, -6, 0)


def test_a_picture_that_was_cut_inside_a_prompt_is_refused() -> None:
    with pytest.raises(RunError, match="6 places was cut"):
        found([5, *WIDE_IDS[:4], 6])


def test_a_picture_that_was_prepared_for_other_patches_is_refused() -> None:
    tokens = np.array([[5, *WIDE_IDS, 6]])
    with pytest.raises(ModelError, match="6 places, but the model reads 1 x 2"):
        find_places(tokens, BOOK, [0], [0], place_size=48)
