"""A teacher that is cut over ranks by mlx-lm's own code: which can be, and what a rank then holds.

`tensor` cuts every matrix of a layer, and adds up twice a layer; `pipeline` gives each rank some
of the layers, which read one after the other. The names are those whose tiny random model read on
two ranks what it reads whole, to 1e-5 (tests/teacher/test_shards.py, which compares them with
mlx-lm's modules). Embedding, norms and the output head are on every rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.architectures import MLX_LM, REMAPPED
from OnPolicyDistill.planning.dimensions import body_weights, parse_dimensions
from OnPolicyDistill.planning.models import ModelFacts

Way = Literal["tensor", "pipeline"]

_TENSOR = """
deepseek_v2 deepseek_v3 deepseek_v32 exaone_moe glm4_moe glm4_moe_lite glm_moe_dsa gpt_oss
iquestloopcoder kimi_k25 kimi_k3 llama longcat_flash longcat_flash_ngram minimax minimax_m3_vl
ministral3 mistral4 qwen2 qwen3 qwen3_5 qwen3_5_moe qwen3_moe solar_open step3p5
"""
TENSOR = frozenset(_TENSOR.split())
# deepseek_v41 has tensor sharding too, whose states parted by 1.4e-4 on two ranks.
PIPELINE = frozenset({"bailing_hybrid", "deepseek_v41", "qwen3_next"})
SUMS_PER_LAYER = 2


def way_to_shard(model_type: str) -> Way | None:
    """How a model of this `model_type` can be cut; None where it cannot."""
    module = REMAPPED.get(model_type, model_type)
    if module in TENSOR:
        return "tensor"
    return "pipeline" if module in PIPELINE else None


def sharding_problem(config: Mapping[str, object], name: str, num_shards: int) -> ModelError | None:
    """What keeps a model of this config.json from being cut into so many shards."""
    model_type = str(config.get("model_type", ""))
    way = way_to_shard(model_type)
    if way is None:
        return ModelError(
            f"{name} is of the architecture {model_type}, which mlx-lm {MLX_LM} does not cut over "
            "ranks.",
            "Set teacher_shards to 1, or choose a teacher of another family, such as qwen3 or "
            "llama.",
        )
    d = parse_dimensions(dict(config), name)
    if way == "pipeline":
        fits, parts = d.num_layers >= num_shards, f"{d.num_layers} layers"
    else:
        fits = d.num_heads % num_shards == 0 and d.num_kv_heads % num_shards == 0
        parts = f"{d.num_heads} heads and {d.num_kv_heads} of keys and values"
    if fits:
        return None
    return ModelError(
        f"{name} has {parts}, which {num_shards} shards cannot share out evenly.",
        "Set teacher_shards, and the number of ranks, to a number that divides them.",
    )


def one_shard(facts: ModelFacts, num_shards: int) -> ModelFacts:
    """The model as a rank holds it: its share of the layers, and everything else whole."""
    layers = round(body_weights(facts.dimensions) * facts.bytes_per_weight)
    whole = max(facts.loaded_bytes - layers, 0)
    return replace(facts, loaded_bytes=whole + -(-min(layers, facts.loaded_bytes) // num_shards))


def sent_bytes(facts: ModelFacts, num_tokens: float) -> tuple[float, int]:
    """What reading so many tokens sends: bytes to add up, and in how many sums one after another.

    A pipeline hands states on once and then gathers the last ones: as much as a sum and a half of
    them, counted as two.
    """
    d = facts.dimensions
    states = num_tokens * d.hidden_size * (4 if d.bits == 32 else 2)
    sums = 2 if way_to_shard(d.model_type) == "pipeline" else SUMS_PER_LAYER * d.num_layers
    return states * sums, sums
