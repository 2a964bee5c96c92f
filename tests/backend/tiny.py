"""Tiny models, an adapter and prompt files for tests of the resources beside runs."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx

from OnPolicyDistill.adapters.files import save_adapter
from OnPolicyDistill.adapters.lora import adapter_layers, attach_adapter
from OnPolicyDistill.models.embedded import TinyShape, write_random_model, write_tokenizer
from OnPolicyDistill.models.loading import load_policy
from OnPolicyDistill.settings.training import LoraSettings

TEXTS = ["the third of March 1998, half past six", "1998-03-03 18:30", "user assistant system"] * 2
SHAPE = TinyShape(
    hidden_size=32, num_layers=2, num_heads=4, num_kv_heads=2, intermediate_size=64,
    logit_width=320, tied=True,
)  # fmt: skip


def write_tiny_model(folder: Path, seed: int = 0, num_base_tokens: int = 280) -> Path:
    folder.mkdir(parents=True)
    write_tokenizer(folder, TEXTS, num_base_tokens)
    write_random_model(folder, SHAPE, seed)
    return folder


def write_endless_model(folder: Path) -> Path:
    """Write a model that practically never ends a completion by itself."""
    write_tiny_model(folder)
    file = folder / "model.safetensors"
    weights = mx.load(str(file))
    assert isinstance(weights, dict)
    name = "model.embed_tokens.weight"
    sharp = weights[name] * 100
    ends = mx.arange(sharp.shape[0])[:, None] >= 280
    weights[name] = mx.where(ends, 0.0, sharp)
    mx.eval(weights)
    mx.save_safetensors(str(file), weights, {"format": "mlx"})
    return folder


def write_tiny_adapter(folder: Path, model: Path) -> Path:
    folder.mkdir(parents=True)
    policy = load_policy(str(model))
    adapter = attach_adapter(policy.model, LoraSettings(rank=4, alpha=8), ("q_proj", "up_proj"), 0)
    for layer in adapter_layers(policy.model).values():
        layer.lora_b = mx.random.normal(layer.lora_b.shape, key=mx.random.key(1))
    save_adapter(folder, policy.model, adapter, model.name)
    return folder


def write_jsonl(file: Path, lines: list[object]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file
