"""A picture's pixels as the patches that a vision tower reads, in the order of its processor.

The same numbers in the same order as Qwen2-VL's image processor in transformers, which Qwen2.5-VL
and Qwen3-VL share: blocks of merge x merge patches row by row, and inside a block its patches row
by row. A still picture fills both frames of a patch.

Letters: H, W pixels; N patches; C = 3 channels; F = 2 frames; p pixels along a patch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from OnPolicyDistill.pictures import Pixels, Sight

NUM_FRAMES = 2
NUM_CHANNELS = 3


def patches_of(pixels: Pixels, sight: Sight) -> NDArray[np.float32]:
    """Normalized patches (N, C F p p) of pixels (H, W, C), whose sides are whole places.

    Raises:
        ValueError: the sides are no multiples of a place, or there are not three channels.
    """
    H, W, num_channels = pixels.shape
    if H % sight.place_size or W % sight.place_size or num_channels != NUM_CHANNELS:
        raise ValueError(f"pixels of the shape {pixels.shape} are no places of {sight.place_size}")
    mean, std = (np.asarray(each, np.float32) * 255 for each in (sight.mean, sight.std))
    normalized = (pixels.astype(np.float32) - mean) / std
    p, merge = sight.patch, sight.merge
    split = normalized.reshape(H // (p * merge), merge, p, W // (p * merge), merge, p, NUM_CHANNELS)
    ordered = split.transpose(0, 3, 1, 4, 6, 2, 5)  # blocks, patches of a block, C, p, p
    frames = np.repeat(ordered[:, :, :, :, :, None], NUM_FRAMES, axis=5)
    patches: NDArray[np.float32] = frames.reshape(-1, NUM_CHANNELS * NUM_FRAMES * p * p)
    return patches
