"""Tiny models of the real classes to graft: a Qwen2.5-VL as it is published, and a Qwen3."""

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx_lm.models import qwen3
from PIL import Image
from tokenizers import Tokenizer

from OnPolicyDistill.models.embedded import initialize, write_tokenizer
from OnPolicyDistill.models.parameters import arrays_of
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.models.vision_loading import family_module

TEXTS = ["How many cells wide is it?", "The answer is 3. It is 4 high.", "user assistant"] * 2
SPECIAL = (
    "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
    "<think>", "</think>",
)  # fmt: skip
# The part of Qwen3's template that matters here: the switch, and history without thoughts.
SWITCHED = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% endif %}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
ALWAYS = SWITCHED.replace(
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}",
    "<think>\n",
)
NEVER = ALWAYS.replace("<think>\n", "")

KERNEL = "patch_embed.proj.weight"
VISION = {
    "model_type": "qwen2_5_vl", "depth": 2, "hidden_size": 32, "intermediate_size": 48,
    "num_heads": 2, "in_chans": 3, "out_hidden_size": 40, "patch_size": 14,
    "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112,
    "fullatt_block_indexes": [1], "hidden_act": "silu",
}  # fmt: skip
TEXT = {
    "model_type": "qwen3", "hidden_size": 24, "num_hidden_layers": 2, "intermediate_size": 48,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "rms_norm_eps": 1e-6,
    "vocab_size": 320, "max_position_embeddings": 1024, "rope_theta": 10000.0,
    "tie_word_embeddings": True, "torch_dtype": "float32",
}  # fmt: skip


def write_language(folder: Path, template: str = SWITCHED, **changes: object) -> Path:
    """A Qwen3 whose tokenizer has the tokens for pictures and thoughts.

    Its embeddings are ten times as large as usual, or every distribution would be nearly uniform.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {**TEXT, **changes}
    model = qwen3.Model(qwen3.ModelArgs.from_dict(config))
    initialize(model, 1)
    model.model.embed_tokens.weight *= 10
    save_weights(folder, model)
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder, TEXTS, 290)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(template)
    return folder


def write_vision(
    folder: Path, extra_bytes: int = 0, beginning: str = "visual.", **changes: object
) -> Path:
    """A Qwen2.5-VL in one file, as torch stores it, or MLX where its names begin as MLX's do.

    Its language part is one tensor of `extra_bytes`, a hole in the file where the disk can.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vision = {**VISION, **changes}
    config = {"model_type": "qwen2_5_vl", "hidden_size": 40, "vision_config": vision}
    (folder / "config.json").write_text(json.dumps(config))
    arrays = tower_arrays(vision)
    if beginning == "vision_tower.":
        turned = arrays[KERNEL].transpose(0, 2, 3, 4, 1)
        arrays[KERNEL] = np.ascontiguousarray(turned)
    tensors = {f"{beginning}{name}": array for name, array in arrays.items()}
    header: dict[str, object] = {}
    end = 0
    for name, array in tensors.items():
        shape = list(array.shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    last = {"dtype": "U8", "shape": [extra_bytes], "data_offsets": [end, end + extra_bytes]}
    text = json.dumps({**header, "model.embed_tokens.weight": last}).encode()
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            stream.write(array.tobytes())
        stream.truncate(8 + len(text) + end + extra_bytes)
    return folder


def tower_arrays(vision: dict[str, object]) -> dict[str, np.ndarray]:
    """Random weights of a tower by the names and in the layouts of torch."""
    module = family_module("qwen2_5_vl")
    tower = module.VisionModel(module.VisionConfig.from_dict(vision))
    arrays = {}
    for number, (name, array) in enumerate(arrays_of(tower).items()):
        drawn = mx.random.normal(array.shape, key=mx.random.key(number)) * 0.2
        if "norm" in name or "ln_q" in name:
            drawn = 1 + drawn
        arrays[name] = np.array(drawn)
    arrays[KERNEL] = np.ascontiguousarray(arrays[KERNEL].transpose(0, 4, 1, 2, 3))
    return arrays


COLOURS = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220)}
QUESTION = "What colour is it?"


def write_colours(folder: Path, name: str, repeats: int = 1, thought: str = "") -> Path:
    """Conversations that ask for the colour of a plain picture; thoughts stand before answers."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(repeats):
        for colour, values in COLOURS.items():
            shade = np.array(values) + 4 * number - len(name) % 4
            pixels = np.full((56, 56, 3), shade, np.uint8)
            picture = folder / f"{name}-{colour}-{number}.png"
            Image.fromarray(pixels).save(picture)
            asked = {"role": "user", "content": f"<image>\n{QUESTION}"}
            said = {"role": "assistant", "content": f"{thought}It is {colour}."}
            lines.append({"messages": [asked, said], "images": [picture.name]})
    file = folder / f"{name}.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file
