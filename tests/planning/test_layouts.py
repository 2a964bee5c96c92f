"""The plan's layers are those that mlx-lm builds: every linear map and every parameter."""

from __future__ import annotations

import copy

import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten
from mlx_lm.utils import _get_classes

from OnPolicyDistill.adapters.lora import linear_maps
from OnPolicyDistill.planning.dimensions import decoder_layers, num_parameters, parse_dimensions
from OnPolicyDistill.planning.layouts import _LAYERS
from OnPolicyDistill.registry import KnownModel, all_models
from tests.architectures.tiny import tiny_config, tiny_model

# What mlx-lm asks of a config and no dimension follows from.
BESIDE_DIMENSIONS: dict[str, object] = {
    "rms_norm_eps": 1e-5,
    "norm_eps": 1e-5,
    "rope_theta": 1e4,
    "rope_scaling": None,
    "attention_bias": False,
    "conv_bias": False,
    "block_dim": 0,
    "block_multiple_of": 256,
    "block_ffn_dim_multiplier": 1.0,
    "embedding_multiplier": 1.0,
    "attention_multiplier": 1.0,
    "logits_scaling": 1.0,
    "residual_multiplier": 1.0,
    "mamba_conv_bias": True,
    "mamba_proj_bias": False,
    "norm_topk_prob": True,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
    "partial_rotary_factor": 1.0,
}
ROPE = {
    "rope_theta": 1e4,
    "rope_type": "default",
    "original_max_position_embeddings": 16384,
    "llama_4_scaling_beta": 0.1,
}
# One of each configuration; models that mlx-lm does not read whole are left to test_vision.py.
CONFIGURED = {
    model.base_name: model
    for model in all_models()
    if model.original_id is not None and not model.vision
}


def build(config: dict[str, object]) -> nn.Module:
    """The model that mlx-lm makes of a registry's config; its weights are never computed."""
    config = copy.deepcopy(config)
    nested = config.get("text_config")
    text = nested if isinstance(nested, dict) else config
    for key, value in BESIDE_DIMENSIONS.items():
        text.setdefault(key, value)
    if config["model_type"] == "mistral3":
        text["rope_parameters"] = ROPE
    text["block_dim"] = text["hidden_size"]
    model_class, args_class = _get_classes(config)
    return model_class(args_class.from_dict(config))


def parameters(model: nn.Module, tied: bool) -> int:
    """Parameters that mlx-lm holds once the weights of a checkpoint are in it."""
    flat = tree_flatten(model.parameters())
    return sum(a.size for name, a in flat if not (tied and name.endswith("lm_head.weight")))


@pytest.mark.parametrize("known", CONFIGURED.values(), ids=CONFIGURED)
def test_every_layer_of_the_registry_is_as_mlx_lm_builds_it(known: KnownModel) -> None:
    dimensions = parse_dimensions(known.config, known.alias)
    model = build(dict(known.config))
    assert [set(layer) for layer in decoder_layers(dimensions)] == [
        set(layer) for layer in linear_maps(model)
    ]
    assert num_parameters(dimensions) == parameters(model, dimensions.tied)


@pytest.mark.parametrize("family", [*_LAYERS, "gemma3_text", "gemma4_text", "ministral3"])
def test_layouts_hold_for_other_settings_of_a_family_too(family: str) -> None:
    config = tiny_config(family)
    dimensions = parse_dimensions(config, family)
    model = tiny_model(family)
    assert [set(layer) for layer in decoder_layers(dimensions)] == [
        set(layer) for layer in linear_maps(model)
    ]
