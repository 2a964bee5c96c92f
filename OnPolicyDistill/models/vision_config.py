"""A vision model's config.json and preprocessor in one spelling, whoever wrote them.

transformers 4 and 5 and MLX's conversions put the same settings under different names and at
different places. Loads no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.pictures import Sight

FAMILIES = frozenset({"qwen3_vl", "qwen3_vl_moe", "qwen2_5_vl"})
MIXTURE = "qwen3_vl_moe"
# The family whose text settings stand at the root of config.json.
FLAT = "qwen2_5_vl"
TEMPORAL_PATCH = 2
TOWER_FIELDS = (
    "depth", "hidden_size", "intermediate_size", "num_heads", "patch_size", "spatial_merge_size",
    "out_hidden_size",
)  # fmt: skip
FURTHER_TOWER_FIELDS = {
    "qwen3_vl": ("num_position_embeddings", "deepstack_visual_indexes"),
    "qwen3_vl_moe": ("num_position_embeddings", "deepstack_visual_indexes"),
    "qwen2_5_vl": ("window_size", "fullatt_block_indexes"),
}
# Where the settings of still pictures stand; videos' last, whose limits are of a frame and more.
PREPROCESSOR_FILES = (
    ("preprocessor_config.json", None),
    ("processor_config.json", "image_processor"),
    ("video_preprocessor_config.json", None),
)

Config = Mapping[str, object]


def is_vision_config(config: Config) -> bool:
    """Whether a model is of a family that sees."""
    return config.get("model_type") in FAMILIES


def mlx_config(config: Config) -> dict[str, object]:
    """The same config as mlx-vlm spells it.

    Raises:
        ModelError: something is missing or cannot be read by the model's code.
    """
    family = str(config["model_type"])
    plain = dict(config)
    vision = _tower(plain.pop("vision_config", None), family)
    nested = plain.pop("text_config", None) or {}
    if not isinstance(nested, dict):
        raise ModelError("The text_config is no object.", "Download the model again.")
    tied = bool(nested.get("tie_word_embeddings", plain.get("tie_word_embeddings", False)))
    text = {**plain, **nested} if family == FLAT else dict(nested)
    text = {"num_experts": text.get("num_local_experts"), **text} if family == MIXTURE else text
    text = _with_rope(text, family) | {"tie_word_embeddings": tied}
    if text.get("use_sliding_window"):
        raise ModelError(
            "The model attends to a sliding window, which its code does not know.",
            "Set use_sliding_window to false, as Qwen publishes it.",
        )
    shared = {"vision_config": vision, "model_type": family, "tie_word_embeddings": tied}
    return text | shared if family == FLAT else plain | shared | {"text_config": text}


def read_sight(folder: Path, config: Config) -> Sight:
    """How a folder's model reads pictures.

    Raises:
        ModelError: no file says it, or it contradicts the config.
    """
    tower = config["vision_config"]
    assert isinstance(tower, dict)
    return sight_of(_preprocessor(folder), tower, folder)


def sight_of(values: Config, tower: Config, folder: Path) -> Sight:
    """How pictures are read by what a preprocessor says, for a tower of a folder.

    Raises:
        ModelError: something is missing, or it is of another tower.
    """
    smallest, largest = _limits(values)
    try:
        sight = Sight(
            patch=_whole(values.get("patch_size", tower["patch_size"])),
            merge=_whole(values.get("merge_size", tower["spatial_merge_size"])),
            mean=_channels(values["image_mean"]),
            std=_channels(values["image_std"]),
            min_pixels=_whole(smallest),
            max_pixels=_whole(largest),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"The picture settings in {folder} are incomplete ({error}).",
            "Download the model again; preprocessor_config.json is needed.",
        ) from error
    if (sight.patch, sight.merge) != (tower["patch_size"], tower["spatial_merge_size"]):
        raise ModelError(
            f"The picture settings in {folder} have patches of {sight.patch} pixels merged by "
            f"{sight.merge}, its model others.",
            "Download the model again; the files are of different models.",
        )
    return sight


def _tower(vision: object, family: str) -> dict[str, object]:
    if not isinstance(vision, dict):
        raise ModelError("The config has no vision_config.", "Download the model again.")
    needed = (*TOWER_FIELDS, *FURTHER_TOWER_FIELDS[family])
    missing = [name for name in needed if name not in vision]
    if missing:
        raise ModelError(f"The vision_config has no {missing[0]}.", "Download the model again.")
    if vision.get("temporal_patch_size", TEMPORAL_PATCH) != TEMPORAL_PATCH:
        raise ModelError(
            "The vision tower does not read frames in pairs.", "Use a Qwen model as published."
        )
    channels = vision.get("in_channels", vision.get("in_chans", 3))
    return {**vision, "model_type": family, "in_channels": channels}


def _with_rope(text: dict[str, object], family: str) -> dict[str, object]:
    """Rotary settings under `rope_theta` and `rope_scaling`, where transformers 4 had them."""
    rope = text.pop("rope_parameters", None) or text.get("rope_scaling") or {}
    if not isinstance(rope, dict) or rope.get("rope_type", rope.get("type", "mrope")) not in (
        "default",
        "mrope",
    ):
        raise ModelError(
            f"The rotary embeddings are scaled in a way that is not known: {rope}.",
            "Use the model as its authors published it.",
        )
    section = rope.get("mrope_section", None if family == FLAT else [24, 20, 20])
    theta = rope.get("rope_theta", text.get("rope_theta"))
    if section is None or theta is None:
        missing = "mrope_section" if section is None else "rope_theta"
        raise ModelError(f"The config has no {missing}.", "Download the model again.")
    scaling = {"type": "default", "rope_type": "default", "mrope_section": section}
    return {**text, "rope_theta": theta, "rope_scaling": scaling}


def _preprocessor(folder: Path) -> dict[str, object]:
    for name, part in PREPROCESSOR_FILES:
        if not (folder / name).is_file():
            continue
        values = read_json(folder / name)
        inner = values if part is None else values.get(part)
        if isinstance(inner, dict):
            return inner
    raise ModelError(
        f"{folder} does not say how pictures are read: it has no preprocessor_config.json.",
        "Download the model again.",
    )


def _limits(values: Config) -> tuple[object, object]:
    """Fewest and most pixels of a picture; newer files have them under `size`."""
    size = values.get("size")
    edges = size if isinstance(size, dict) else {}
    return (
        values.get("min_pixels") or edges.get("shortest_edge") or edges.get("min_pixels"),
        values.get("max_pixels") or edges.get("longest_edge") or edges.get("max_pixels"),
    )


def _whole(value: object) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{value} is no number of pixels")
    return value


def _channels(value: object) -> tuple[float, float, float]:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(f"{value} is not one number a channel")
    red, green, blue = (float(number) for number in value)
    return red, green, blue
