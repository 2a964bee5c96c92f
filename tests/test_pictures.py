"""Places of pictures are ids that only one picture has, and the same ones when a run comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from OnPolicyDistill.errors import DatasetError, RunError
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Picture, PictureBook, Sight

SIGHT = Sight(16, 2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 65_536, 1_048_576)


def picture(digest: str, num_places: int = 4) -> Picture:
    return Picture(digest, 32, 32 * num_places, num_places, lambda: np.zeros((32, 32, 3), np.uint8))


def test_every_place_has_an_id_of_its_own_and_a_picture_met_again_keeps_its_ids() -> None:
    book = PictureBook()
    first, second = book.ids_of(picture("a")), book.ids_of(picture("b", 6))
    assert list(first) == list(range(FIRST_PICTURE_ID, FIRST_PICTURE_ID + 4))
    assert not set(first) & set(second)
    assert book.ids_of(picture("a")) == first
    assert book.find(second[5]) == (picture("b", 6), 5)
    assert book.find(first[0]) == (picture("a"), 0)


def test_a_book_without_pictures_leaves_no_file_and_a_damaged_one_is_refused(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pictures.json"
    PictureBook().save(file)
    assert not file.exists()
    for damage in ('[["a", 3', '[["a"]]', '{"a": 3}', "\xff"):
        file.write_text(damage, encoding="latin-1")
        with pytest.raises(RunError, match="is damaged"):
            PictureBook.load(file)


def test_a_saved_book_gives_the_same_ids_whatever_is_met_first(tmp_path: Path) -> None:
    book = PictureBook()
    a, b = book.ids_of(picture("a")), book.ids_of(picture("b"))
    book.save(tmp_path / "pictures.json")
    again = PictureBook.load(tmp_path / "pictures.json")
    new = again.ids_of(picture("c"))
    assert (again.ids_of(picture("b")), again.ids_of(picture("a"))) == (b, a)
    assert not set(new) & (set(a) | set(b))


@pytest.mark.parametrize("token_id", [5, FIRST_PICTURE_ID - 1, FIRST_PICTURE_ID + 4])
def test_an_id_of_no_picture_is_refused(token_id: int) -> None:
    book = PictureBook()
    book.ids_of(picture("a"))
    with pytest.raises(RunError, match="belongs to no picture"):
        book.find(token_id)


def test_a_picture_that_was_not_opened_again_is_said(tmp_path: Path) -> None:
    book = PictureBook([("a", 4)])
    with pytest.raises(RunError, match="not among the run's prompts"):
        book.find(FIRST_PICTURE_ID)


def test_target_sizes_are_those_of_the_image_processor() -> None:
    # Worked out by hand from transformers' smart_resize with a factor of 32 (28 for Qwen2.5-VL).
    assert SIGHT.target_size(480, 640) == (480, 640)
    assert SIGHT.target_size(1000, 1500) == (832, 1248)
    assert SIGHT.target_size(100, 100) == (256, 256)
    assert SIGHT.num_places(1024, 1024) == 1024
    older = Sight(14, 2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 3_136, 1_048_576)
    assert older.num_places(1024, 1024) == 1296


@pytest.mark.parametrize("size", [(0, 10), (1, 201), (4100, 20)])
def test_a_picture_without_pixels_or_a_mere_line_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        SIGHT.target_size(*size)
