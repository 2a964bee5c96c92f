"""Tiny random models whose greedy completions vary: untied heads and wide weights."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_map
from mlx_lm.models import llama, phi3, qwen2, qwen3, qwen3_moe

VOCAB_SIZE = 100
LOGIT_WIDTH = 112
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "vocab_size": LOGIT_WIDTH,
    "tie_word_embeddings": False,
    "rope_theta": 10000.0,
    "max_position_embeddings": 4096,
}
MIXTURE = {
    "num_experts": 4,
    "num_experts_per_tok": 2,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "moe_intermediate_size": 32,
    "norm_topk_prob": True,
}
HEADS = {"head_dim": 8}


def varied(model: nn.Module) -> nn.Module:
    wide = tree_map(lambda weight: weight * 3 if weight.ndim > 1 else weight, model.parameters())
    model.update(wide)
    model.eval()
    mx.eval(model.parameters())
    return model


def build_qwen2() -> nn.Module:
    return qwen2.Model(qwen2.ModelArgs.from_dict({"model_type": "qwen2", **SHAPE}))


def build_qwen3() -> nn.Module:
    return qwen3.Model(qwen3.ModelArgs.from_dict({"model_type": "qwen3", **SHAPE, **HEADS}))


def build_qwen3_moe() -> nn.Module:
    given = {"model_type": "qwen3_moe", **SHAPE, **HEADS, **MIXTURE}
    return qwen3_moe.Model(qwen3_moe.ModelArgs.from_dict(given))


def build_llama() -> nn.Module:
    return llama.Model(llama.ModelArgs.from_dict({"model_type": "llama", **SHAPE}))


def build_phi3() -> nn.Module:
    return phi3.Model(phi3.ModelArgs.from_dict({"model_type": "phi3", **SHAPE}))


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "qwen2": build_qwen2,
    "qwen3": build_qwen3,
    "qwen3_moe": build_qwen3_moe,
    "llama": build_llama,
    "phi3": build_phi3,
}


@pytest.fixture(scope="session")
def model() -> nn.Module:
    mx.random.seed(0)
    return varied(build_qwen2())


@pytest.fixture(scope="session", params=list(ARCHITECTURES))
def any_model(request: pytest.FixtureRequest) -> nn.Module:
    mx.random.seed(0)
    return varied(ARCHITECTURES[request.param]())
