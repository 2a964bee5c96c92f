"""The two models that a graft is made of: found, judged by their settings, refused in words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from OnPolicyDistill.datasets.chat_template import THOUGHT_MARKS, ChatTemplate
from OnPolicyDistill.datasets.tokenizer_files import load_tokenizer_files, read_settings
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.grafted import BODY_TYPE, TOWER_TYPE, is_grafted, tower_fields
from OnPolicyDistill.models.hub import download_part
from OnPolicyDistill.models.loading import find_folder
from OnPolicyDistill.models.vision_loading import refuse_named_python
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.registry import find_model, local_folder

TOWER_NAME = re.compile(r"(?:model\.)?(?:visual|vision_tower)\.(.+)")
# The merger of mlx-vlm's class joins two by two patches, whatever the settings say.
MERGE = 2
PREPROCESSOR_FILE = "preprocessor_config.json"
# What Qwen2.5-VL's image processor does where its folder does not say: the values of OpenAI's CLIP.
PREPROCESSOR: Mapping[str, object] = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "patch_size": 14,
    "temporal_patch_size": 2,
    "merge_size": MERGE,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "min_pixels": 3136,
    "max_pixels": 12845056,
}
# Their ids are 151652 to 151656 and 151667, 151668 in the tokenizer that Qwen published.
VISION_TOKENS = {
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
    "vision_token_id": "<|vision_pad|>",
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
}


def is_of_tower(name: str) -> bool:
    """Whether a tensor of a vision checkpoint belongs to its tower or merger."""
    return TOWER_NAME.fullmatch(name) is not None


def vision_folder(name: str) -> Path:
    """Where a vision model lies; of one on the hub only the files that hold its tower are fetched.

    Raises:
        ModelError: there is no such model, or the hub does not give it.
    """
    known = find_model(name)
    hub_id = name if known is None else known.hub_id
    is_on_hub = hub_id is not None and hub_id.count("/") == 1 and hub_id[0] not in "./~"
    if local_folder(name) is not None or hub_id is None or not is_on_hub:
        return find_folder(name)
    return download_part(hub_id, is_of_tower)


def vision_settings(folder: Path) -> dict[str, object]:
    """The vision_config of a folder whose tower can be grafted.

    Raises:
        ModelError: it has no tower, one of another family, or code of its own.
    """
    config = read_json(folder / "config.json")
    refuse_named_python(folder, config)
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        raise ModelError(
            f"{folder} is a language model: it has no vision tower.",
            "Give a Qwen2.5-VL as --vision, and this one as --language.",
        )
    if config.get("model_type") != TOWER_TYPE:
        raise ModelError(
            f"The tower in {folder} is of the type {config.get('model_type')!r}, and only that of "
            f"{TOWER_TYPE} is grafted.",
            "Give a Qwen2.5-VL: towers of Qwen3-VL also feed the layers of their own body.",
        )
    if vision.get("spatial_merge_size", MERGE) != MERGE:
        raise ModelError(
            f"The tower in {folder} merges {vision['spatial_merge_size']} patches a side.",
            f"Only {MERGE} are supported, as Qwen2.5-VL was published with.",
        )
    return tower_fields(vision)


def preprocessor_settings(folder: Path) -> dict[str, object]:
    """How a vision model reads pictures: patches, limits, and what pixels are normalized by."""
    return {**PREPROCESSOR, **read_settings(folder, PREPROCESSOR_FILE)}


def language_settings(folder: Path) -> dict[str, object]:
    """The config of a language model that a tower can be grafted on.

    Raises:
        ModelError: it sees already, is of another family or packed in a way MLX does not read.
    """
    config = read_json(folder / "config.json")
    refuse_named_python(folder, config)
    if isinstance(config.get("vision_config"), dict) or is_grafted(config):
        raise ModelError(
            f"{folder} is a vision model: a tower is grafted on a language model.",
            "Give a Qwen3 without vision as --language, such as qwen3-4b.",
        )
    if config.get("model_type") != BODY_TYPE:
        raise ModelError(
            f"{folder} is of the type {config.get('model_type')!r}, and towers are grafted on "
            f"{BODY_TYPE} alone.",
            "Give a dense Qwen3 as --language, such as qwen3-4b.",
        )
    if "quantization" not in config and "quantization_config" in config:
        raise ModelError(
            f"{folder} is packed by another program than MLX, and MLX cannot compute with it.",
            "Give the bf16 model, or a form packed by MLX: its weights are kept as they are.",
        )
    return config


def vision_tokens(folder: Path, vocab_rows: int) -> dict[str, int]:
    """Ids of the tokens that stand around and for pictures, found by what they are called.

    Raises:
        ModelError: the tokenizer lacks one, splits it up, or the model has no row for it; the
            same of the tokens that open and close a thought.
    """
    tokenizer = load_tokenizer_files(folder)
    found: dict[str, int] = {}
    for key, token in (*VISION_TOKENS.items(), *((token, token) for token in THOUGHT_MARKS)):
        ids = tokenizer.encode(token)
        if len(ids) != 1 or tokenizer.strings.get(ids[0]) != token or ids[0] >= vocab_rows:
            raise ModelError(
                f"The tokenizer in {folder} has no token {token}.",
                "Give a Qwen3: its tokenizer has the tokens for pictures and for thoughts.",
            )
        found[key] = ids[0]
    return {key: found[key] for key in VISION_TOKENS}


def refuse_without_switch(folder: Path) -> None:
    """Refuse a language model whose template cannot turn thinking off and on.

    Learning is on answers without thoughts, and what is learned must hold with them. Both need a
    template that writes an empty thought where thinking is off, as Qwen3's does.

    Raises:
        ModelError: the template always or never thinks.
    """
    template = ChatTemplate.load(folder)
    if not template.switches_thinking:
        always = template.opening(True).rstrip().endswith(THOUGHT_MARKS[0])
        kind = "always thinks" if always else "has no switch for thinking"
        raise ModelError(
            f"The language model in {folder} {kind}, so nothing can be learned without thoughts.",
            "Give one that can do both, such as qwen3-4b; the 2507 releases of Qwen3 cannot.",
        )
