"""Tiny models of the real Qwen3-VL architectures, dense and with experts, made from nothing.

They are folders like any other vision model's: config, weights, picture settings, a tokenizer of
Qwen's layout in small (special tokens are found by content, never by number), and a chat template
in the form of the -Thinking models: pictures between markers, the assistant's turn opened with
`<think>`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Tokenizer

from OnPolicyDistill.models.embedded import (
    CONTEXT_LENGTH,
    END_OF_TEXT,
    TURN_END,
    TURN_START,
    initialize,
    train_bytes,
    write_json,
)
from OnPolicyDistill.models.saving import save_weights
from OnPolicyDistill.models.vision_config import mlx_config
from OnPolicyDistill.models.vision_loading import lay_out

VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
IMAGE_PAD, VIDEO_PAD = "<|image_pad|>", "<|video_pad|>"
THINK, THINK_END = "<think>", "</think>"
PATCH, MERGE, FRAMES = 16, 2, 2

# As Qwen3-VL's -Thinking models have it, without tools, videos and numbered pictures.
CHAT_TEMPLATE = """\
{%- macro written(content) %}
  {%- if content is string %}
    {{- content }}
  {%- else %}
    {%- for part in content %}
      {%- if part.type == 'image' or 'image' in part or 'image_url' in part %}
        {{- '<|vision_start|><|image_pad|><|vision_end|>' }}
      {%- elif 'text' in part %}
        {{- part.text }}
      {%- endif %}
    {%- endfor %}
  {%- endif %}
{%- endmacro %}
{%- set ns = namespace(last_question=-1) %}
{%- for message in messages %}
  {%- if message.role == 'user' %}
    {%- set ns.last_question = loop.index0 %}
  {%- endif %}
{%- endfor %}
{%- for message in messages %}
  {%- set content = written(message.content) %}
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
  {{- '<|im_start|>assistant\\n<think>\\n' }}
{%- endif %}
"""


@dataclass(frozen=True, slots=True)
class Experts:
    """How many experts a layer has, how many a token meets, and their inner width.

    The width may be neither the model's width nor half of it: loaders tell layouts of experts apart
    by their shapes.
    """

    count: int
    chosen: int
    width: int


@dataclass(frozen=True, slots=True)
class TinyVisionShape:
    """Dimensions of a tiny vision model.

    `logit_width` is the padded width of its tied output head; `grid` is the number of patches along
    a side of the pictures it is made for; features of the tower's layers `levels` are handed to the
    first layers of the language model as well (DeepStack).
    """

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    intermediate_size: int
    logit_width: int
    tower_size: int
    tower_layers: int
    tower_heads: int
    tower_intermediate_size: int
    levels: tuple[int, ...]
    grid: int
    experts: Experts | None = None
    context_length: int = CONTEXT_LENGTH


def write_vision_tokenizer(folder: Path, texts: Iterable[str], num_base_tokens: int) -> None:
    """Train a tokenizer on texts and write it with chat template and picture settings."""
    tokenizer = train_bytes(texts, num_base_tokens)
    special = [TURN_START, TURN_END, VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD]
    tokenizer.add_special_tokens([END_OF_TEXT, *special])
    # As in Qwen, thoughts' marks are tokens that decoding shows.
    marks = [AddedToken(mark, normalized=False) for mark in (THINK, THINK_END)]
    tokenizer.add_tokens(marks)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": TURN_END,
            "pad_token": END_OF_TEXT,
            "additional_special_tokens": special,
            "clean_up_tokenization_spaces": False,
            "model_max_length": CONTEXT_LENGTH,
        },
    )


def write_random_vision_model(folder: Path, shape: TinyVisionShape, seed: int) -> None:
    """Write configs and random float32 weights beside a tokenizer; the bytes depend on `seed`."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = {token: number for token, number in tokenizer.get_vocab().items() if "<" in token}
    config = vision_config(shape, ids)
    write_json(folder / "config.json", config)
    write_json(
        folder / "generation_config.json",
        {
            "bos_token_id": ids[END_OF_TEXT],
            "pad_token_id": ids[END_OF_TEXT],
            "eos_token_id": [ids[TURN_END], ids[END_OF_TEXT]],
        },
    )
    write_json(folder / "preprocessor_config.json", _picture_settings(shape))
    model = lay_out(mlx_config(config), folder)
    initialize(model, seed)
    save_weights(folder, model)


def vision_config(shape: TinyVisionShape, ids: dict[str, int]) -> dict[str, object]:
    """The config of a tiny vision model in the published layout."""
    model_type = "qwen3_vl" if shape.experts is None else "qwen3_vl_moe"
    return {
        "architectures": [
            "Qwen3VLForConditionalGeneration"
            if shape.experts is None
            else "Qwen3VLMoeForConditionalGeneration"
        ],
        "model_type": model_type,
        "image_token_id": ids[IMAGE_PAD],
        "video_token_id": ids[VIDEO_PAD],
        "vision_start_token_id": ids[VISION_START],
        "vision_end_token_id": ids[VISION_END],
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "text_config": _text_config(shape, model_type, ids[END_OF_TEXT]),
        "vision_config": _tower_config(shape, model_type),
    }


def _text_config(shape: TinyVisionShape, model_type: str, end_of_text: int) -> dict[str, object]:
    places = shape.head_size // 2  # pairs of numbers that rotate
    down, across = places // 3, places // 3
    config: dict[str, object] = {
        "model_type": f"{model_type}_text",
        "hidden_size": shape.hidden_size,
        "num_hidden_layers": shape.num_layers,
        "num_attention_heads": shape.num_heads,
        "num_key_value_heads": shape.num_kv_heads,
        "head_dim": shape.head_size,
        "intermediate_size": shape.intermediate_size,
        "vocab_size": shape.logit_width,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "rope_scaling": {
            "rope_type": "default",
            "mrope_interleaved": True,
            "mrope_section": [places - down - across, down, across],
        },
        "max_position_embeddings": shape.context_length,
        "initializer_range": 0.02,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "use_cache": True,
    }
    if shape.experts is not None:
        config |= {
            "num_experts": shape.experts.count,
            "num_experts_per_tok": shape.experts.chosen,
            "moe_intermediate_size": shape.experts.width,
            "norm_topk_prob": True,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        }
    return config


def _tower_config(shape: TinyVisionShape, model_type: str) -> dict[str, object]:
    return {
        "model_type": model_type,
        "depth": shape.tower_layers,
        "hidden_size": shape.tower_size,
        "num_heads": shape.tower_heads,
        "intermediate_size": shape.tower_intermediate_size,
        "out_hidden_size": shape.hidden_size,
        "hidden_act": "gelu_pytorch_tanh",
        "in_channels": 3,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": FRAMES,
        "num_position_embeddings": shape.grid**2,
        "deepstack_visual_indexes": list(shape.levels),
        "initializer_range": 0.02,
    }


def _picture_settings(shape: TinyVisionShape) -> dict[str, object]:
    """How pictures are prepared: between one and sixteen times the size that was trained on."""
    pixels = (shape.grid * PATCH) ** 2
    return {
        "image_processor_type": "Qwen2VLImageProcessorFast",
        "processor_class": "Qwen3VLProcessor",
        "size": {"shortest_edge": pixels, "longest_edge": 16 * pixels},
        "patch_size": PATCH,
        "merge_size": MERGE,
        "temporal_patch_size": FRAMES,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
