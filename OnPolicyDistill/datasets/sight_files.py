"""What a model folder says of how it sees, as far as counting a picture's tokens needs it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from OnPolicyDistill.datasets.pictures import DEFAULT_SIGHT
from OnPolicyDistill.datasets.tokenizer_files import read_settings
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.pictures import Sight

SEEING = ("qwen3_vl", "qwen3_vl_moe", "qwen2_5_vl")


def sight_of_folder(folder: Path, sight: Sight = DEFAULT_SIGHT) -> Sight | None:
    """Patch and merge of a folder's model, within the limits of `sight`; None for a text model.

    Mean and deviation of the channels stay those of `sight`: they change no count.

    Raises:
        ModelError: config.json is damaged.
    """
    config = read_settings(folder, "config.json")
    tower = config.get("vision_config")
    if config.get("model_type") not in SEEING or not isinstance(tower, dict):
        return None
    patch, merge = tower.get("patch_size"), tower.get("spatial_merge_size")
    if not isinstance(patch, int) or not isinstance(merge, int) or patch < 1 or merge < 1:
        message = f"The vision_config of {folder} has no patch_size or no spatial_merge_size."
        raise ModelError(message, "Download the model again.")
    return replace(sight, patch=patch, merge=merge)
