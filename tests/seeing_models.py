"""Tiny random models that see, as folders of the three real classes, and pictures for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.utils import tree_flatten, tree_map
from tokenizers import Tokenizer

from OnPolicyDistill.models.embedded import write_tokenizer
from OnPolicyDistill.models.saving import save_tensors
from OnPolicyDistill.models.vision_config import mlx_config
from OnPolicyDistill.models.vision_loading import lay_out
from OnPolicyDistill.pictures import Picture, Pixels, Sight

FAMILIES = ("qwen3_vl", "qwen3_vl_moe", "qwen2_5_vl")
MARKERS = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
NUM_BASE_TOKENS = 270
VOCAB_SIZE = NUM_BASE_TOKENS + 3 + len(MARKERS)
LOGIT_WIDTH = 288
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT = {
    "hidden_size": 64,
    "num_hidden_layers": 3,
    "intermediate_size": 96,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": LOGIT_WIDTH,
    "max_position_embeddings": 4096,
    "tie_word_embeddings": False,
    "rope_theta": 10000.0,
}
MIXTURE = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "moe_intermediate_size": 96,
    "norm_topk_prob": True,
}
TOWER = {"depth": 3, "hidden_size": 48, "num_heads": 4, "spatial_merge_size": 2,
         "temporal_patch_size": 2, "in_channels": 3, "out_hidden_size": 64}  # fmt: skip


def tiny_config(family: str) -> dict[str, object]:
    """A config.json in transformers 4's spelling."""
    ids = {name: NUM_BASE_TOKENS + 3 + place for place, name in enumerate(MARKERS)}
    shared: dict[str, object] = {
        "model_type": family,
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "eos_token_id": NUM_BASE_TOKENS + 2,
        "bos_token_id": NUM_BASE_TOKENS,
    }
    if family == "qwen2_5_vl":
        tower = {**TOWER, "intermediate_size": 56, "patch_size": 14, "window_size": 56}
        rope = {"type": "mrope", "mrope_section": [2, 3, 3]}
        further = {"fullatt_block_indexes": [1], "model_type": family}
        return {**TEXT, **shared, "rope_scaling": rope, "vision_config": tower | further}
    text = {**TEXT, "model_type": f"{family}_text", "head_dim": 16}
    text["rope_scaling"] = {
        "rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True
    }  # fmt: skip
    if family == "qwen3_vl_moe":
        text |= MIXTURE
    tower = {**TOWER, "intermediate_size": 80, "patch_size": 16, "num_position_embeddings": 16}
    further = {"deepstack_visual_indexes": [0, 1], "model_type": family}
    return {**shared, "text_config": text, "vision_config": tower | further}


def write_seeing_model(
    folder: Path, family: str, seed: int = 0, changed: Mapping[str, object] | None = None
) -> Path:
    """Write a folder of random float32 weights that depend on the seed alone."""
    folder.mkdir(parents=True, exist_ok=True)
    config = tiny_config(family) | dict(changed or {})
    write_words(folder)
    write_json(folder / "config.json", config)
    patch = config["vision_config"]["patch_size"]  # type: ignore[index]
    write_json(
        folder / "preprocessor_config.json",
        {"patch_size": patch, "merge_size": 2, "temporal_patch_size": 2,
         "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
         "size": {"shortest_edge": 4 * patch**2, "longest_edge": 400 * patch**2}},
    )  # fmt: skip
    model = lay_out(mlx_config(config), folder)
    save_tensors(folder, dict(tree_flatten(tree_map(_Drawn(seed), model.parameters()))))
    return folder


class _Drawn:
    """Draws weights one after the other, wide enough that completions vary."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def __call__(self, weight: mx.array) -> mx.array:
        drawn = self._random.standard_normal(weight.shape).astype(np.float32)
        if weight.ndim < 2:
            return mx.array(1 + 0.1 * drawn)
        return mx.array(drawn * 2 / np.sqrt(weight.shape[-1]))


def write_words(folder: Path) -> None:
    """A tokenizer with the words that pictures stand between, and a template that writes them."""
    write_tokenizer(folder, ["a triangle of six by four cells", "its area is 12"], NUM_BASE_TOKENS)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(MARKERS)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    write_json(folder / "generation_config.json", {"eos_token_id": [NUM_BASE_TOKENS + 2]})


def write_json(file: Path, values: Mapping[str, object]) -> None:
    file.write_text(json.dumps(values, indent=2), encoding="utf-8")


def a_picture(sight: Sight, tall: int, wide: int, seed: int = 0) -> Picture:
    """A picture of so many places, all noise."""
    height, width = tall * sight.place_size, wide * sight.place_size
    random = np.random.default_rng(seed)
    pixels: Pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return Picture(digest, height, width, tall * wide, lambda: pixels)


def as_transformers_stores(weights: Mapping[str, mx.array]) -> dict[str, mx.array]:
    """Weights under the names and in the layouts of a folder that transformers wrote."""
    stored: dict[str, mx.array] = {}
    for name, array in weights.items():
        if ".switch_mlp." in name:
            continue
        plain = name.replace("language_model.lm_head.", "lm_head.")
        plain = plain.replace("language_model.model.", "model.language_model.")
        plain = plain.replace("vision_tower.", "model.visual.")
        is_kernel = name == "vision_tower.patch_embed.proj.weight"
        stored[plain] = array.transpose(0, 4, 1, 2, 3) if is_kernel else array
    ends = ".mlp.switch_mlp.gate_proj.weight"
    for name in [name for name in weights if name.endswith(ends)]:
        block = name.removesuffix("gate_proj.weight")
        experts = block.replace("language_model.model.", "model.language_model.")
        experts = experts.replace("switch_mlp.", "experts.")
        both = mx.concatenate([weights[name], weights[f"{block}up_proj.weight"]], axis=1)
        stored[f"{experts}gate_up_proj"] = both.transpose(0, 2, 1)
        stored[f"{experts}down_proj"] = weights[f"{block}down_proj.weight"].transpose(0, 2, 1)
    return stored


# Rows of the reference: words, and pictures by their number.
REFERENCE_SIZES = ((4, 6), (3, 2))  # in places
REFERENCE_ROWS: tuple[tuple[int | str, ...], ...] = (
    (1, 2, 3, "<", 0, ">", 5, 6, 7),
    (11, 12, 13, 14, 15),
    (7, "<", 1, ">", 8, 9, "<", 0, ">", 10, "<", 1, ">", 16, 17, 18),
)


def reference_rows(config: Mapping[str, object], pictures: list[list[int]]) -> list[list[int]]:
    """Rows of ids with pictures as given."""
    marks = {"<": config["vision_start_token_id"], ">": config["vision_end_token_id"]}
    rows: list[list[int]] = []
    for pattern in REFERENCE_ROWS:
        row: list[int] = []
        for place, item in enumerate(pattern):
            if isinstance(item, str):
                row.append(int(str(marks[item])))
            elif pattern[place - 1] == "<":
                row += pictures[item]
            else:
                row.append(item)
        rows.append(row)
    return rows
