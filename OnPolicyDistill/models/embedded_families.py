"""Tiny models of three real families: Qwen2.5, Phi-3.5 and DeepSeek-R1-Distill-Qwen.

Folders like any other model's: the module names of the architecture (fused projections in Phi's),
the family's special tokens, and a chat template that writes what the published one writes for
system, user and assistant. Qwen2.5 has a system message of its own, Phi-3.5 ends turns with
`<|end|>`, and R1's opens `<think>` for the model and deletes thoughts from what was said before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mlx.nn as nn
from mlx_lm.models import phi3, qwen2
from tokenizers import AddedToken, Tokenizer

from OnPolicyDistill.models.embedded import (
    END_OF_TEXT,
    TURN_END,
    TURN_START,
    TinyShape,
    initialize,
    train_bytes,
    write_json,
)
from OnPolicyDistill.models.saving import save_weights

FamilyName = Literal["qwen2.5", "phi-3.5", "r1-distill"]

QWEN = """\
{%- if messages[0]['role'] != 'system' %}
  {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. ' }}
  {{- 'You are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
  {{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
PHI = """\
{%- for message in messages %}
  {%- if message['role'] != 'system' or message['content'] %}
    {{- '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|assistant|>\\n' }}
{%- else %}
  {{- eos_token }}
{%- endif %}
"""
# Published with a bar that is wider than the one of the keyboard.
WIDE_BAR = "\uff5c"
R1 = """\
{{- bos_token }}
{%- for message in messages if message['role'] == 'system' %}
  {%- if loop.last %}
    {{- message['content'] }}
  {%- endif %}
{%- endfor %}
{%- for message in messages %}
  {%- if message['role'] == 'user' %}
    {{- '<|User|>' + message['content'] }}
  {%- elif message['role'] == 'assistant' %}
    {{- '<|Assistant|>' + message['content'].split('</think>')[-1] + '<|end▁of▁sentence|>' }}
  {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
  {{- '<|Assistant|><think>\\n' }}
{%- endif %}
""".replace("|", WIDE_BAR)


@dataclass(frozen=True, slots=True)
class Family:
    """What tells a family's folders apart.

    `ends` are the tokens that end a completion, the one that closes a turn first. `shown` are
    tokens that decoding shows, like words.
    """

    model_type: str
    architecture: str
    template: str
    begin: str
    pad: str
    ends: tuple[str, ...]
    special: tuple[str, ...]
    shown: tuple[str, ...] = ()


R1_END, R1_USER, R1_ASSISTANT, R1_BEGIN = (
    f"<{WIDE_BAR}{name}{WIDE_BAR}>"
    for name in ("end▁of▁sentence", "User", "Assistant", "begin▁of▁sentence")
)
FAMILIES: dict[FamilyName, Family] = {
    "qwen2.5": Family(
        model_type="qwen2",
        architecture="Qwen2ForCausalLM",
        template=QWEN,
        begin=END_OF_TEXT,
        pad=END_OF_TEXT,
        ends=(TURN_END, END_OF_TEXT),
        special=(END_OF_TEXT, TURN_START, TURN_END),
    ),
    "phi-3.5": Family(
        model_type="phi3",
        architecture="Phi3ForCausalLM",
        template=PHI,
        begin=END_OF_TEXT,
        pad=END_OF_TEXT,
        ends=("<|end|>", "<|assistant|>", END_OF_TEXT),
        special=(END_OF_TEXT, "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"),
    ),
    "r1-distill": Family(
        model_type="qwen2",
        architecture="Qwen2ForCausalLM",
        template=R1,
        begin=R1_BEGIN,
        pad=R1_END,
        ends=(R1_END,),
        special=(R1_END, R1_USER, R1_ASSISTANT, R1_BEGIN),
        shown=("<think>", "</think>"),
    ),
}


def write_family_words(
    folder: Path, name: FamilyName, texts: Iterable[str], num_base_tokens: int, context: int
) -> None:
    """Train a tokenizer with a family's special tokens, and write it with the family's template."""
    family = FAMILIES[name]
    tokenizer = train_bytes(texts, num_base_tokens)
    tokenizer.add_special_tokens(list(family.special))
    tokenizer.add_tokens([AddedToken(mark, normalized=False) for mark in family.shown])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(family.template, encoding="utf-8")
    # As published: Phi's tokenizer names <|endoftext|>, though it is <|end|> that ends a turn.
    end = END_OF_TEXT if name == "phi-3.5" else family.ends[0]
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": family.begin,
            "eos_token": end,
            "pad_token": family.pad,
            "clean_up_tokenization_spaces": False,
            "model_max_length": context,
        },
    )


def write_random_family(folder: Path, name: FamilyName, shape: TinyShape, seed: int) -> None:
    """Write a family's configs and random float32 weights beside its tokenizer.

    Raises:
        ValueError: the tokenizer has more tokens than the shape has logits.
    """
    family = FAMILIES[name]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    num_tokens = tokenizer.get_vocab_size()
    if num_tokens > shape.logit_width:
        # Reading beyond the embedding table would not be noticed until the process dies of it.
        raise ValueError(f"{num_tokens} tokens do not fit into {shape.logit_width} logits.")
    ids = {token: tokenizer.token_to_id(token) for token in family.special}
    ends = [ids[token] for token in family.ends]
    begin = {"bos_token_id": ids[family.begin], "pad_token_id": ids[family.pad]}
    write_json(
        folder / "generation_config.json",
        begin | {"eos_token_id": ends if len(ends) > 1 else ends[0]},
    )
    config: dict[str, object] = {
        "architectures": [family.architecture],
        "model_type": family.model_type,
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
        "bos_token_id": ids[family.begin],
        "eos_token_id": ids[family.special[0]],
        "pad_token_id": ids[family.pad],
        "use_cache": True,
    }
    write_json(folder / "config.json", config)
    model = _laid_out(family, config)
    initialize(model, seed)
    save_weights(folder, model)


def _laid_out(family: Family, config: dict[str, object]) -> nn.Module:
    model: nn.Module
    if family.model_type == "phi3":
        model = phi3.Model(phi3.ModelArgs.from_dict(config))
    else:
        model = qwen2.Model(qwen2.ModelArgs.from_dict(config))
    return model
