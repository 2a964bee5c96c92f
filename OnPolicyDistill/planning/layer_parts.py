"""Parts that the layers of several families share, as mlx-lm builds them, and their config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from OnPolicyDistill.planning.mixtures import Count, Mixture
from OnPolicyDistill.planning.targets import LinearMap

# Linear maps of a part of a layer, and how many numbers it has beside them: norms, biases,
# convolutions, constants of a state.
Maps = tuple[LinearMap, ...]
Part = tuple[Maps, int]


@dataclass(frozen=True, slots=True)
class Config:
    """A language model's config.json, as the families below read it."""

    text: Mapping[str, object]
    count: Count
    hidden: int
    num_layers: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    mixture: Mixture

    def has(self, key: str, default: bool = False) -> bool:
        """Whether a switch is on."""
        return self.text.get(key, default) is True

    def types(self) -> list[object]:
        """What each layer is, by `layer_types`; empty where the config has none."""
        types = self.text.get("layer_types")
        return types if isinstance(types, list) else []


def attention(c: Config, head_dim: int, kv_heads: int, out: str = "o_proj", gate: int = 1) -> Maps:
    """Attention; `gate` is 2 where queries come with a gate of their own."""
    query, keys = c.heads * head_dim, kv_heads * head_dim
    return (
        LinearMap("self_attn.q_proj", gate * query, c.hidden),
        LinearMap("self_attn.k_proj", keys, c.hidden),
        LinearMap("self_attn.v_proj", keys, c.hidden),
        LinearMap(f"self_attn.{out}", c.hidden, query),
    )


def gated(block: str, hidden: int, width: int, copies: int = 1) -> Maps:
    """A feed-forward part with a gate, or `copies` of them."""
    return (
        LinearMap(f"{block}.gate_proj", width, hidden, copies),
        LinearMap(f"{block}.up_proj", width, hidden, copies),
        LinearMap(f"{block}.down_proj", hidden, width, copies),
    )


def experts(c: Config, block: str) -> Maps:
    """The experts among which a router chooses."""
    return gated(block, c.hidden, c.mixture.width, c.mixture.num_experts)


def mamba(c: Config) -> Part:
    """Mamba 2."""
    heads = c.count("mamba_n_heads", 0)
    inner = heads * c.count("mamba_d_head", 0)
    states = 2 * c.count("mamba_n_groups", 1) * c.count("mamba_d_state", 0)
    convolution = (inner + states) * (c.count("mamba_d_conv", 4) + 1)
    maps = (
        LinearMap("mamba.in_proj", 2 * inner + states + heads, c.hidden),
        LinearMap("mamba.out_proj", c.hidden, inner),
    )
    return maps, convolution + 3 * heads + inner


def delta_rule(c: Config) -> Part:
    """The gated delta rule; Qwen3-Next has two of its maps in one, twice."""
    heads, width = c.count("linear_num_value_heads", 0), c.count("linear_value_head_dim", 0)
    keys = c.count("linear_num_key_heads", 0) * c.count("linear_key_head_dim", 0)
    mixed = 2 * keys + heads * width
    numbers = mixed * c.count("linear_conv_kernel_dim", 4) + 2 * heads + width
    block = "linear_attn"
    if c.text.get("model_type") == "qwen3_next":
        into: Maps = (
            LinearMap(f"{block}.in_proj_qkvz", mixed + heads * width, c.hidden),
            LinearMap(f"{block}.in_proj_ba", 2 * heads, c.hidden),
        )
    else:
        into = (
            LinearMap(f"{block}.in_proj_qkv", mixed, c.hidden),
            LinearMap(f"{block}.in_proj_z", heads * width, c.hidden),
            LinearMap(f"{block}.in_proj_a", heads, c.hidden),
            LinearMap(f"{block}.in_proj_b", heads, c.hidden),
        )
    return (*into, LinearMap(f"{block}.out_proj", c.hidden, heads * width)), numbers
