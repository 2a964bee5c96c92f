"""Layers of families that are not built like Llama's, as mlx-lm builds them, from config.json.

The plan counts with them what a model weighs, and chooses what an adapter goes on. Tests build the
same models in mlx-lm and compare every linear map.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from OnPolicyDistill.planning.layer_parts import (
    Config,
    Maps,
    Part,
    attention,
    delta_rule,
    experts,
    gated,
    mamba,
)
from OnPolicyDistill.planning.mixtures import Count
from OnPolicyDistill.planning.targets import Layers, LinearMap


@dataclass(frozen=True, slots=True)
class Layout:
    """A model's layers, and its other numbers.

    `vectors` stay in 16 bit when weights are packed. `multiplied` are weights that every token is
    multiplied with and no adapter goes on; `looked_up` are tables of which a token reads a row.
    """

    layers: Layers
    vectors: int
    multiplied: int = 0
    looked_up: int = 0


def parse_layout(family: str, config: Config) -> Layout | None:
    """The layers of a family that has a layout of its own; None for those built like Llama's."""
    layer = _LAYERS.get(family)
    if layer is None:
        return None
    parts = [layer(config, number) for number in range(config.num_layers)]
    vectors = sum(numbers for _, numbers in parts) + config.hidden
    multiplied, looked_up = _beside(family, config)
    if family == "gemma4" and looked_up:
        vectors += config.count("hidden_size_per_layer_input", 0)
    # Layers alike become one object: what walks over all of them can then look once.
    alike = {maps: maps for maps, _ in parts}
    return Layout(tuple(alike[maps] for maps, _ in parts), vectors, multiplied, looked_up)


def block_width(config: Mapping[str, object], count: Count) -> int:
    """Width of LFM2's feed-forward part, which its config may tell before an adjustment."""
    width = count("block_ff_dim", count("intermediate_size", 0))
    if config.get("block_auto_adjust_ff_dim") is not True:
        return width
    width = 2 * width // 3
    factor = config.get("block_ffn_dim_multiplier")
    width = int(factor * width) if isinstance(factor, int | float) else width
    multiple = max(count("block_multiple_of", 1), 1)
    return -(-width // multiple) * multiple


def _beside(family: str, c: Config) -> tuple[int, int]:
    """Weights outside of the layers' linear maps: multiplied with, and looked up."""
    if family == "gemma4":
        width = c.count("hidden_size_per_layer_input", 0) * c.num_layers
        return width * c.hidden, width * c.count("vocab_size_per_layer_input", 262_144)
    # Their router is a module of its own, which is never packed and takes no adapter.
    routers = len(c.mixture.layers) * c.mixture.num_experts * c.hidden
    if family == "glm4_moe":
        return routers, 0
    if family == "glm4_moe_lite":
        latent = c.count("kv_lora_rank", 0)
        widths = c.count("qk_nope_head_dim", 0) + c.count("v_head_dim", 0)
        return routers + c.num_layers * c.heads * latent * widths, 0
    return 0, 0


def _gemma3(c: Config, number: int) -> Part:
    maps = (*attention(c, c.head_dim, c.kv_heads), *gated("mlp", c.hidden, c.inner))
    return maps, 4 * c.hidden + 2 * c.head_dim


def _gemma4(c: Config, number: int) -> Part:
    types = c.types()
    attends = bool(types) and types[number] != "sliding_attention"
    head_dim = c.count("global_head_dim", 512) if attends else c.head_dim
    same = attends and c.has("attention_k_eq_v")
    kv_heads = c.count("num_global_key_value_heads", c.kv_heads) if same else c.kv_heads
    first_shared = c.num_layers - c.count("num_kv_shared_layers", 0)
    shares = 0 < first_shared <= number
    left_out = ("k_proj", "v_proj") if shares else ("v_proj",) if same else ()
    mixer = (m for m in attention(c, head_dim, kv_heads) if m.name not in left_out)
    width = c.inner * (2 if shares and c.has("use_double_wide_mlp", default=True) else 1)
    numbers = 4 * c.hidden + head_dim * (1 if shares else 2) + 1
    maps: Maps = (*mixer, *gated("mlp", c.hidden, width))
    if c.mixture.num_experts:
        router = LinearMap("router.proj", c.mixture.num_experts, c.hidden)
        maps = (*maps, router, *experts(c, "experts.switch_glu"))
        numbers += 4 * c.hidden + c.mixture.num_experts
    narrow = c.count("hidden_size_per_layer_input", 0)
    if narrow:
        gate = LinearMap("per_layer_input_gate", narrow, c.hidden)
        maps = (*maps, gate, LinearMap("per_layer_projection", c.hidden, narrow))
        numbers += c.hidden
    return maps, numbers


def _gpt_oss(c: Config, number: int) -> Part:
    mixer = attention(c, c.head_dim, c.kv_heads)
    routed = experts(c, "mlp.experts")
    router = LinearMap("mlp.router", c.mixture.num_experts, c.hidden)
    biases = sum(m.copies * m.outputs for m in (*mixer, *routed, router))
    return (*mixer, router, *routed), 2 * c.hidden + c.heads + biases


def _glm4(c: Config, number: int) -> Part:
    mixer = attention(c, c.head_dim, c.kv_heads)
    fused = LinearMap("mlp.gate_up_proj", 2 * c.inner, c.hidden)
    maps = (*mixer, fused, LinearMap("mlp.down_proj", c.hidden, c.inner))
    return maps, 4 * c.hidden + _qkv_biases(c, mixer)


def _glm4_moe(c: Config, number: int) -> Part:
    mixer = attention(c, c.head_dim, c.kv_heads)
    norms = 2 * c.hidden + (2 * c.head_dim if c.has("use_qk_norm") else 0)
    maps, numbers = _routed(c, number)
    return (*mixer, *maps), norms + numbers + _qkv_biases(c, mixer)


def _glm4_moe_lite(c: Config, number: int) -> Part:
    rank, latent = c.count("q_lora_rank", 0), c.count("kv_lora_rank", 0)
    rope, nope = c.count("qk_rope_head_dim", 0), c.count("qk_nope_head_dim", 0)
    mixer = (
        LinearMap("self_attn.q_a_proj", rank, c.hidden),
        LinearMap("self_attn.q_b_proj", c.heads * (nope + rope), rank),
        LinearMap("self_attn.kv_a_proj_with_mqa", latent + rope, c.hidden),
        LinearMap("self_attn.o_proj", c.hidden, c.heads * c.count("v_head_dim", 0)),
    )
    maps, numbers = _routed(c, number)
    return (*mixer, *maps), 2 * c.hidden + rank + latent + numbers


def _routed(c: Config, number: int) -> Part:
    """A dense feed-forward part, or experts with those that every token passes through."""
    if number not in c.mixture.layers:
        return gated("mlp", c.hidden, c.inner), 0
    shared = gated("mlp.shared_experts", c.hidden, c.mixture.shared_width)
    return (*experts(c, "mlp.switch_mlp"), *shared), c.mixture.num_experts


def _qkv_biases(c: Config, mixer: Maps) -> int:
    return sum(m.outputs for m in mixer[:3]) if c.has("attention_bias") else 0


def _granite(c: Config, number: int) -> Part:
    types = c.types()
    if types and types[number] == "mamba":
        mixer, numbers = mamba(c)
    else:
        mixer, numbers = attention(c, c.head_dim, c.kv_heads), 0
    feed: Maps = gated("mlp", c.hidden, c.inner)
    if c.mixture.num_experts:
        shared = c.mixture.shared_width
        feed = (
            LinearMap("block_sparse_moe.router.layer", c.mixture.num_experts, c.hidden),
            *experts(c, "block_sparse_moe.switch_mlp"),
            LinearMap("shared_mlp.input_linear", 2 * shared, c.hidden),
            LinearMap("shared_mlp.output_linear", c.hidden, shared),
        )
    return (*mixer, *feed), 2 * c.hidden + numbers


def _lfm2(c: Config, number: int) -> Part:
    indices = c.text.get("full_attn_idxs")
    types = c.types()
    if isinstance(indices, list):
        attends = number in indices
    else:
        attends = bool(types) and types[number] == "full_attention"
    if attends:
        mixer = attention(c, c.head_dim, c.kv_heads, out="out_proj")
        numbers = 2 * c.head_dim
    else:
        mixer = (
            LinearMap("conv.in_proj", 3 * c.hidden, c.hidden),
            LinearMap("conv.out_proj", c.hidden, c.hidden),
        )
        numbers = c.hidden * c.count("conv_L_cache", 3)
    feed, more = _lfm2_feed(c, number)
    return (*mixer, *feed), 2 * c.hidden + numbers + more


def _lfm2_feed(c: Config, number: int) -> Part:
    block = "feed_forward"
    if number in c.mixture.layers:
        router = LinearMap(f"{block}.gate", c.mixture.num_experts, c.hidden)
        biases = c.mixture.num_experts if c.has("use_expert_bias") else 0
        return (router, *experts(c, f"{block}.switch_mlp")), biases
    if c.mixture.num_experts:
        return gated(block, c.hidden, c.inner), 0
    names = ("w1", "w3")
    into = tuple(LinearMap(f"{block}.{name}", c.inner, c.hidden) for name in names)
    return (*into, LinearMap(f"{block}.w2", c.hidden, c.inner)), 0


def _qwen3_next(c: Config, number: int) -> Part:
    if (number + 1) % c.count("full_attention_interval", 4) == 0:
        mixer: Maps = attention(c, c.head_dim, c.kv_heads, gate=2)
        numbers = 2 * c.head_dim
    else:
        mixer, numbers = delta_rule(c)
    return (*mixer, *_qwen_feed(c, number)), 2 * c.hidden + numbers


def _qwen_feed(c: Config, number: int) -> Maps:
    if number not in c.mixture.layers:
        return gated("mlp", c.hidden, c.inner)
    return (
        LinearMap("mlp.gate", c.mixture.num_experts, c.hidden),
        *experts(c, "mlp.switch_mlp"),
        *gated("mlp.shared_expert", c.hidden, c.mixture.shared_width),
        LinearMap("mlp.shared_expert_gate", 1, c.hidden),
    )


_LAYERS: Mapping[str, Callable[[Config, int], Part]] = {
    "gemma3": _gemma3,
    "gemma4": _gemma4,
    "glm4": _glm4,
    "glm4_moe": _glm4_moe,
    "glm4_moe_lite": _glm4_moe_lite,
    "gpt_oss": _gpt_oss,
    "granitemoehybrid": _granite,
    "lfm2": _lfm2,
    "lfm2_moe": _lfm2,
    "qwen3_5": _qwen3_next,
    "qwen3_5_moe": _qwen3_next,
    "qwen3_next": _qwen3_next,
}
