import numpy as np
import pytest

from OnPolicyDistill.models.patches import patches_of
from OnPolicyDistill.pictures import Sight

SIGHT = Sight(14, 2, (0.4, 0.5, 0.6), (0.25, 0.5, 0.2), 784, 1 << 20)


def test_every_number_of_a_patch_is_where_the_processor_puts_it() -> None:
    H, W, p, merge = 56, 84, SIGHT.patch, SIGHT.merge
    pixels = np.random.default_rng(0).integers(0, 256, (H, W, 3), dtype=np.uint8)
    patches = patches_of(pixels, SIGHT)
    assert patches.shape == (H * W // p**2, 3 * 2 * p * p)
    number = 0
    for block_row in range(H // p // merge):
        for block_column in range(W // p // merge):
            for row in range(merge):
                for column in range(merge):
                    top, left = (block_row * merge + row) * p, (block_column * merge + column) * p
                    square = pixels[top : top + p, left : left + p] / 255
                    normal = (square - SIGHT.mean) / SIGHT.std  # (p, p, 3) in float64
                    wanted = np.stack([normal, normal]).transpose(3, 0, 1, 2)  # (3, 2, p, p)
                    error = np.abs(patches[number].reshape(wanted.shape) - wanted).max()
                    assert error < 5e-7 * np.abs(wanted).max()
                    number += 1


@pytest.mark.parametrize("shape", [(56, 60, 3), (50, 56, 3), (56, 56, 4)])
def test_pixels_that_are_no_whole_places_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no places of 28"):
        patches_of(np.zeros(shape, np.uint8), SIGHT)
