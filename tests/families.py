"""Tiny random models of real architectures, as folders that the plan and the trainer both read."""

import importlib
import json
from pathlib import Path

from mlx_lm.utils import MODEL_REMAPPING

from OnPolicyDistill.models.embedded import initialize, write_tokenizer
from OnPolicyDistill.models.saving import save_weights

TEXTS = ["the third of March 1998, half past six", "1998-03-03 18:30", "user assistant system"] * 2
COMMON = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
    "vocab_size": 320,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-6,
    "norm_epsilon": 1e-6,
    "rope_theta": 10000.0,
    "max_position_embeddings": 64,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
MIXED = {**EXPERTS, "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": [0]}
LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2}

# What each configuration has beside COMMON; the registry lists the first eight families.
FAMILIES: dict[str, dict[str, object]] = {
    "qwen2": {},
    "qwen3": {},
    "llama": {},
    "mistral": {},
    "phi3": {"rope_scaling": None},
    "mixtral": LOCAL,
    "qwen2_moe": {**EXPERTS, "shared_expert_intermediate_size": 64},
    "qwen3_moe": MIXED,
    "starcoder2": {},
    "olmoe": {**EXPERTS, "norm_topk_prob": True},
    "gpt_oss": {
        **LOCAL,
        "sliding_window": 16,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_scaling": {"rope_type": "default"},
    },
    "glm4_moe": {
        **EXPERTS,
        "norm_topk_prob": True,
        "n_routed_experts": 4,
        "n_shared_experts": 1,
        "n_group": 1,
        "topk_group": 1,
        "routed_scaling_factor": 1.0,
        "first_k_dense_replace": 1,
        "use_qk_norm": False,
        "attention_bias": False,
        "partial_rotary_factor": 0.5,
        "rope_scaling": None,
    },
    "qwen3_next": {
        **MIXED,
        "mlp_only_layers": [],
        "shared_expert_intermediate_size": 32,
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_conv_kernel_dim": 4,
        "full_attention_interval": 2,
        "partial_rotary_factor": 0.5,
    },
}
MIXTURES = tuple(name for name in FAMILIES if any("experts" in key for key in FAMILIES[name]))


def write_family(folder: Path, family: str, **changes: object) -> Path:
    """A model of a family with random weights and a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_type": family, **COMMON, **FAMILIES[family], **changes}
    architecture = importlib.import_module(f"mlx_lm.models.{MODEL_REMAPPING.get(family, family)}")
    model = architecture.Model(architecture.ModelArgs.from_dict(config))
    initialize(model, 0)
    save_weights(folder, model)
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder, TEXTS, 280)
    return folder
