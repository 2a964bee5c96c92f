"""Parameter counts of the vision towers of Qwen2.5-VL and Qwen3-VL, from their vision_config."""

from __future__ import annotations

from collections.abc import Mapping

from OnPolicyDistill.errors import ModelError


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
