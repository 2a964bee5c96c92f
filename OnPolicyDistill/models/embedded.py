"""Tiny models of the real Qwen2 architecture with a tokenizer of their own, from nothing.

They are folders like any other model's (config, safetensors, tokenizer, chat template) and are
loaded by the same code as Qwen2.5-32B. As in that family, the logits are wider than the
tokenizer, and by how much differs between sizes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models import qwen2
from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.saving import save_weights

END_OF_TEXT = "<|endoftext|>"
TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
CONTEXT_LENGTH = 1024

# Letters in words, digits one by one, punctuation with the space before it, as Qwen splits text.
PRETOKENIZER = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+"

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True, slots=True)
class TinyShape:
    """Dimensions of a tiny model; `logit_width` is the padded width of its output head."""

    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    intermediate_size: int
    logit_width: int
    tied: bool
    context_length: int = CONTEXT_LENGTH


def write_tokenizer(
    folder: Path, texts: Iterable[str], num_base_tokens: int, context_length: int = CONTEXT_LENGTH
) -> None:
    """Train a byte-level BPE tokenizer on texts and write it with its chat template.

    The three special tokens get the ids after `num_base_tokens`, as in Qwen.
    """
    tokenizer = train_bytes(texts, num_base_tokens)
    tokenizer.add_special_tokens([END_OF_TEXT, TURN_START, TURN_END])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": TURN_END,
            "pad_token": END_OF_TEXT,
            "additional_special_tokens": [TURN_START, TURN_END],
            "clean_up_tokenization_spaces": False,
            "model_max_length": context_length,
        },
    )


def train_bytes(texts: Iterable[str], num_base_tokens: int) -> Tokenizer:
    """Train byte-level BPE that splits text as Qwen does; special tokens are not there yet."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZER), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = BpeTrainer(vocab_size=num_base_tokens, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_random_model(folder: Path, shape: TinyShape, seed: int) -> None:
    """Write config, generation config and random float32 weights beside a tokenizer.

    Matrices are normal with deviation 1 / sqrt(input width), embeddings 0.02 as in Qwen, so the
    bytes depend on `seed` alone.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    end_of_text = tokenizer.token_to_id(END_OF_TEXT)
    turn_end = tokenizer.token_to_id(TURN_END)
    assert end_of_text is not None
    assert turn_end is not None
    config = _qwen2_config(shape, end_of_text)
    write_json(folder / "config.json", config)
    write_json(
        folder / "generation_config.json",
        {
            "bos_token_id": end_of_text,
            "pad_token_id": end_of_text,
            "eos_token_id": [turn_end, end_of_text],
        },
    )
    model = qwen2.Model(qwen2.ModelArgs.from_dict(config))
    initialize(model, seed)
    save_weights(folder, model)


def initialize(model: nn.Module, seed: int) -> None:
    """Give a model random weights that depend on `seed` and on the parameters' names."""
    parameters = flat_arrays(model.parameters())
    keys = mx.random.split(mx.random.key(seed), len(parameters))
    drawn = [
        (name, _draw(name, array.shape, key))
        for (name, array), key in zip(parameters.items(), keys, strict=True)
    ]
    model.load_weights(drawn)


def _draw(name: str, shape: tuple[int, ...], key: mx.array) -> mx.array:
    if name.endswith("weight") and len(shape) == 1:  # a norm
        return mx.ones(shape)
    if name.endswith("bias"):
        return mx.zeros(shape)
    # A convolution's input is all but its first axis, a stack of experts' only the last one.
    inputs = math.prod(shape[1:]) if len(shape) == 5 else shape[-1]
    deviation = 0.02 if "embed_tokens" in name else inputs**-0.5
    return deviation * mx.random.normal(shape, key=key)


def _qwen2_config(shape: TinyShape, end_of_text: int) -> dict[str, object]:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
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
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "use_cache": True,
    }


def write_json(file: Path, values: dict[str, object]) -> None:
    """Write settings as people read them."""
    file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
