"""Vision towers of Qwen2.5-VL and Qwen3-VL in numbers, from their vision_config.

Patches are squares of pixels; four of them, `merge` x `merge`, become a place: a token of the
language model. A place's features are one vector, and one more for each DeepStack level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from OnPolicyDistill.errors import ModelError

# Floats that a look needs for each patch and unit of width, measured with mlx 0.32.4 on a CPU:
# 31 to 36 at 256 patches and 40 to 48 at 1,024, because attention's scores are kept.
LOOK_FLOATS, LOOK_FLOATS_PER_PATCH = 32.0, 0.015
CHANNELS_AND_FRAMES = 6
FLOAT_BYTES, STORED_BYTES = 4, 2


@dataclass(frozen=True, slots=True)
class VisionDimensions:
    """A tower: sizes in pixels, the tower's width, how many vectors a place has, and parameters."""

    patch: int
    merge: int
    width: int
    num_vectors: int
    parameters: int

    @property
    def place_size(self) -> int:
        """Width and height of a place, in pixels."""
        return self.patch * self.merge

    def num_places(self, pixels: int) -> int:
        """Tokens of a picture of so many pixels."""
        return max(pixels // self.place_size**2, 1)

    def num_patches(self, num_places: int) -> int:
        """Patches of a picture with so many places."""
        return num_places * self.merge**2

    def feature_bytes(self, num_places: int, hidden_size: int) -> int:
        """What is kept of a picture that was looked at, in 16-bit."""
        return STORED_BYTES * num_places * hidden_size * self.num_vectors

    def look_bytes(self, num_places: int) -> int:
        """Patches and activations while one picture is looked at."""
        patches = self.num_patches(num_places)
        floats = self.width * (LOOK_FLOATS + LOOK_FLOATS_PER_PATCH * patches)
        pixels = CHANNELS_AND_FRAMES * self.patch**2
        return round(FLOAT_BYTES * patches * (floats + pixels))

    def look_operations(self, num_places: int) -> float:
        """Floating-point operations of one look."""
        return 2.0 * self.parameters * self.num_patches(num_places)


def parse_vision(vision_config: object, family: str) -> VisionDimensions | None:
    """Read a known tower's vision_config; None for text models and towers not known here.

    `family` is the whole model's type, for configs that do not name the tower's.

    Raises:
        ModelError: a known tower's configuration lacks a size.
    """
    parameters = vision_parameters(vision_config, family)
    if not parameters or not isinstance(vision_config, dict):
        return None
    levels = vision_config.get("deepstack_visual_indexes")
    return VisionDimensions(
        patch=vision_config["patch_size"],
        merge=vision_config["spatial_merge_size"],
        width=vision_config["hidden_size"],
        num_vectors=1 + (len(levels) if isinstance(levels, list) else 0),
        parameters=parameters,
    )


def vision_parameters(vision_config: object, family: str) -> int:
    """Parameters of the tower with its mergers; 0 for text models and towers not known here.

    `family` is the whole model's type, for configs that do not name the tower's.

    Raises:
        ModelError: a known tower's configuration lacks a size.
    """
    if not isinstance(vision_config, dict):
        return 0
    sizes = {str(key): value for key, value in vision_config.items() if isinstance(value, int)}
    # Qwen2.5-VL writes in_chans, or leaves it out where images have three channels.
    sizes.setdefault("in_channels", sizes.get("in_chans", 3))
    try:
        tower = str(vision_config.get("model_type", family))
        return _count_tower(tower, sizes, vision_config)
    except KeyError as error:
        raise ModelError(
            f"The vision_config has no {error.args[0]}.", "Check the model's config.json."
        ) from error


def _count_tower(model_type: str, sizes: Mapping[str, int], config: Mapping[str, object]) -> int:
    if model_type.startswith("qwen3_vl"):
        deepstack = config.get("deepstack_visual_indexes")
        return _qwen3_vl(sizes, len(deepstack) if isinstance(deepstack, list) else 0)
    return _qwen2_5_vl(sizes) if model_type.startswith("qwen2_5_vl") else 0


def _patch_weights(sizes: Mapping[str, int]) -> int:
    pixels = sizes["in_channels"] * sizes["temporal_patch_size"] * sizes["patch_size"] ** 2
    return pixels * sizes["hidden_size"]


def _qwen3_vl(sizes: Mapping[str, int], num_deepstack: int) -> int:
    width, inner, depth = sizes["hidden_size"], sizes["intermediate_size"], sizes["depth"]
    merged = width * sizes["spatial_merge_size"] ** 2
    block = 4 * width + 4 * width**2 + 4 * width + 2 * width * inner + inner + width
    maps = merged**2 + merged + merged * sizes["out_hidden_size"] + sizes["out_hidden_size"]
    mergers = 2 * width + maps + num_deepstack * (2 * merged + maps)
    positions = sizes["num_position_embeddings"] * width
    return _patch_weights(sizes) + width + positions + depth * block + mergers


def _qwen2_5_vl(sizes: Mapping[str, int]) -> int:
    width, inner, depth = sizes["hidden_size"], sizes["intermediate_size"], sizes["depth"]
    merged = width * sizes["spatial_merge_size"] ** 2
    block = 2 * width + 4 * width**2 + 4 * width + 3 * width * inner + 2 * inner + width
    merger = width + merged**2 + merged + merged * sizes["out_hidden_size"]
    return _patch_weights(sizes) + depth * block + merger + sizes["out_hidden_size"]
