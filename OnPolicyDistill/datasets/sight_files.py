"""What a model folder says of how it sees, as far as counting a picture's tokens needs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from OnPolicyDistill.datasets.tokenizer_files import read_settings
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.pictures import Sight

# What Qwen3-VL sees with, inside the pixel limits of our settings; for files without a model.
DEFAULT_SIGHT = Sight(16, 2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), 65_536, 1_048_576)
SEEING = ("qwen3_vl", "qwen3_vl_moe", "qwen2_5_vl")


def sight_of_folder(folder: Path, limits: tuple[int, int] | None = None) -> Sight | None:
    """Patch, merge and limits of a folder's model; None for a text model.

    `limits` are the fewest and most pixels that a run sets; without them the folder's own count.
    Mean and deviation of the channels, which change no count, are those of Qwen3-VL.

    Raises:
        ModelError: config.json or preprocessor_config.json is damaged.
    """
    config = read_settings(folder, "config.json")
    tower = config.get("vision_config")
    if config.get("model_type") not in SEEING or not isinstance(tower, dict):
        return None
    patch, merge = tower.get("patch_size"), tower.get("spatial_merge_size")
    if not isinstance(patch, int) or not isinstance(merge, int) or patch < 1 or merge < 1:
        message = f"The vision_config of {folder} has no patch_size or no spatial_merge_size."
        raise ModelError(message, "Download the model again.")
    fewest, most = limits or _own_limits(folder)
    return replace(DEFAULT_SIGHT, patch=patch, merge=merge, min_pixels=fewest, max_pixels=most)


def _own_limits(folder: Path) -> tuple[int, int]:
    """Fewest and most pixels by the folder's preprocessor; newer files have them under `size`."""
    values = read_settings(folder, "preprocessor_config.json")
    size = values.get("size")
    edges = size if isinstance(size, dict) else {}
    fewest = values.get("min_pixels") or edges.get("min_pixels") or edges.get("shortest_edge")
    most = values.get("max_pixels") or edges.get("max_pixels") or edges.get("longest_edge")
    return (
        fewest if isinstance(fewest, int) else DEFAULT_SIGHT.min_pixels,
        most if isinstance(most, int) else DEFAULT_SIGHT.max_pixels,
    )
