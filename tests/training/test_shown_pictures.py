"""Copies of shown pictures: small, as the model read them, once, and never in a run's way."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.pictures import Picture, Pixels
from OnPolicyDistill.training.shown_pictures import keep_copies

DIGEST = "0f" * 16


def wide_picture() -> Picture:
    pixels = np.zeros((320, 640, 3), np.uint8)
    pixels[:, :320] = (200, 30, 30)
    return Picture(DIGEST, 320, 640, 200, lambda: pixels)


def gone() -> Pixels:
    raise DatasetError("There is no such picture.")


def test_a_copy_is_small_and_looks_as_the_model_saw_it(tmp_path: Path) -> None:
    keep_copies([wide_picture()], tmp_path / "pictures")
    copy = Image.open(BytesIO((tmp_path / "pictures" / f"{DIGEST}.png").read_bytes()))
    assert (copy.format, copy.size) == ("PNG", (256, 128))
    assert copy.getpixel((10, 64)) == (200, 30, 30)
    assert copy.getpixel((245, 64)) == (0, 0, 0)


def test_a_copy_that_is_there_is_not_drawn_again(tmp_path: Path) -> None:
    keep_copies([wide_picture()], tmp_path)
    before = (tmp_path / f"{DIGEST}.png").read_bytes()
    keep_copies([Picture(DIGEST, 320, 640, 200, gone)], tmp_path)
    assert (tmp_path / f"{DIGEST}.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [f"{DIGEST}.png"]


def test_a_picture_that_went_away_has_no_copy_and_ends_nothing(tmp_path: Path) -> None:
    lost = Picture("0e" * 16, 320, 640, 200, gone)
    keep_copies([lost, wide_picture()], tmp_path / "pictures")
    assert [path.stem for path in (tmp_path / "pictures").iterdir()] == [DIGEST]


def test_a_run_without_pictures_gets_no_folder_for_them(tmp_path: Path) -> None:
    keep_copies([], tmp_path / "pictures")
    assert not (tmp_path / "pictures").exists()
