"""Tiny models of the real classes that surgery joins: a Qwen2.5-VL that looks, a Qwen3 that reads.

Both are folders like any other model's. The vision tower is wider or narrower than the language
model, as with the published pair, and cuts pictures into patches of 14 pixels. The Qwen3 has the
tokens for pictures and thoughts, which are found by content, and a template that turns thinking off
by an empty thought in the prompt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlx_lm.models import qwen3
from tokenizers import AddedToken, Tokenizer

from OnPolicyDistill.models.embedded import (
    CONTEXT_LENGTH,
    END_OF_TEXT,
    TURN_END,
    TURN_START,
    TinyShape,
    initialize,
    train_bytes,
    write_json,
)
from OnPolicyDistill.models.embedded_vision import (
    IMAGE_PAD,
    THINK,
    THINK_END,
    VIDEO_PAD,
    VISION_END,
    VISION_START,
)
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.models.vision_config import mlx_config
from OnPolicyDistill.models.vision_loading import lay_out

VISION_PAD = "<|vision_pad|>"
PATCH, MERGE, FRAMES = 14, 2, 2
SPECIAL = (TURN_START, TURN_END, VISION_START, VISION_END, VISION_PAD, IMAGE_PAD, VIDEO_PAD)

# Pictures between markers, as Qwen2.5-VL's template writes them.
LOOKING = """\
{%- for message in messages %}
  {{- '<|im_start|>' + message.role + '\\n' }}
  {%- if message.content is string %}
    {{- message.content }}
  {%- else %}
    {%- for part in message.content %}
      {%- if part.type == 'image' %}
        {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
      {%- elif 'text' in part %}
        {{- part.text }}
      {%- endif %}
    {%- endfor %}
  {%- endif %}
  {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
# Qwen3's in what matters here: thoughts of the last answer alone, and the switch.
THINKING = """\
{%- set ns = namespace(last_question=-1) %}
{%- for message in messages %}
  {%- if message.role == 'user' %}
    {%- set ns.last_question = loop.index0 %}
  {%- endif %}
{%- endfor %}
{%- for message in messages %}
  {%- set content = message.content if message.content is string else '' %}
  {%- if message.role == 'assistant' %}
    {%- set thought = '' %}
    {%- if message.reasoning_content is string %}
      {%- set thought = message.reasoning_content %}
    {%- elif '</think>' in content %}
      {%- set thought = content.split('</think>')[0].split('<think>')[-1] %}
      {%- set content = content.split('</think>')[-1] %}
    {%- endif %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if loop.index0 > ns.last_question %}
      {{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' }}
    {%- endif %}
    {{- content.lstrip('\\n') + '<|im_end|>\\n' }}
  {%- else %}
    {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|im_start|>assistant\\n' }}
  {%- if enable_thinking is defined and enable_thinking is false %}
    {{- '<think>\\n\\n</think>\\n\\n' }}
  {%- endif %}
{%- endif %}
"""


@dataclass(frozen=True, slots=True)
class TinyTower:
    """Dimensions of a tower; `grid` is the number of patches along a side of its pictures."""

    size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    grid: int


def write_words(folder: Path, texts: Iterable[str], num_base_tokens: int, template: str) -> None:
    """Train a tokenizer with the tokens for pictures and thoughts, and write it with a template."""
    tokenizer = train_bytes(texts, num_base_tokens)
    tokenizer.add_special_tokens([END_OF_TEXT, *SPECIAL])
    # As in Qwen, thoughts' marks are tokens that decoding shows.
    tokenizer.add_tokens([AddedToken(mark, normalized=False) for mark in (THINK, THINK_END)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": TURN_END,
            "pad_token": END_OF_TEXT,
            "additional_special_tokens": list(SPECIAL),
            "clean_up_tokenization_spaces": False,
            "model_max_length": CONTEXT_LENGTH,
        },
    )


def write_random_looker(folder: Path, shape: TinyShape, tower: TinyTower, seed: int) -> None:
    """Write a Qwen2.5-VL with random float32 weights beside its tokenizer."""
    ids = _special_ids(folder)
    places = shape.hidden_size // shape.num_heads // 2  # pairs of numbers that rotate
    across = places // 3
    config = _text_config(shape, ids) | {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"],
        "model_type": "qwen2_5_vl",
        "rope_scaling": {"type": "mrope", "mrope_section": [places - 2 * across, across, across]},
        "image_token_id": ids[IMAGE_PAD],
        "video_token_id": ids[VIDEO_PAD],
        "vision_start_token_id": ids[VISION_START],
        "vision_end_token_id": ids[VISION_END],
        "vision_token_id": ids[VISION_PAD],
        "vision_config": _tower_config(tower, shape.hidden_size),
    }
    write_json(folder / "config.json", config)
    pixels = (tower.grid * PATCH) ** 2
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "Qwen2VLImageProcessor",
            "processor_class": "Qwen2_5_VLProcessor",
            "min_pixels": pixels,
            "max_pixels": 16 * pixels,
            "patch_size": PATCH,
            "merge_size": MERGE,
            "temporal_patch_size": FRAMES,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
    )
    model = lay_out(mlx_config(config), folder)
    initialize(model, seed)
    save_weights(folder, model)


def write_random_reader(folder: Path, shape: TinyShape, head_size: int, seed: int) -> None:
    """Write a Qwen3 with random float32 weights beside its tokenizer."""
    config = _text_config(shape, _special_ids(folder)) | {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "head_dim": head_size,
        "attention_bias": False,
    }
    write_json(folder / "config.json", config)
    model = qwen3.Model(qwen3.ModelArgs.from_dict(config))
    initialize(model, seed)
    save_weights(folder, model)


def _special_ids(folder: Path) -> dict[str, int]:
    """Ids of the tokens with brackets, of which some end a turn as generation_config.json says."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = {token: number for token, number in tokenizer.get_vocab().items() if "<" in token}
    ends = [ids[TURN_END], ids[END_OF_TEXT]]
    padding = {"bos_token_id": ids[END_OF_TEXT], "pad_token_id": ids[END_OF_TEXT]}
    write_json(folder / "generation_config.json", padding | {"eos_token_id": ends})
    return ids


def _text_config(shape: TinyShape, ids: dict[str, int]) -> dict[str, object]:
    return {
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "intermediate_size": shape.intermediate_size,
        "vocab_size": shape.logit_width,
        "tie_word_embeddings": shape.tied,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "max_position_embeddings": shape.context_length,
        "initializer_range": 0.02,
        "torch_dtype": "float32",
        "bos_token_id": ids[END_OF_TEXT],
        "eos_token_id": ids[TURN_END],
        "use_cache": True,
    }


def _tower_config(tower: TinyTower, output_size: int) -> dict[str, object]:
    return {
        "model_type": "qwen2_5_vl",
        "depth": tower.num_layers,
        "hidden_size": tower.size,
        "intermediate_size": tower.intermediate_size,
        "num_heads": tower.num_heads,
        "in_chans": 3,
        "out_hidden_size": output_size,
        "hidden_act": "silu",
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": FRAMES,
        "tokens_per_second": 2,
        "window_size": 8 * PATCH,
        "fullatt_block_indexes": [tower.num_layers - 1],
    }
