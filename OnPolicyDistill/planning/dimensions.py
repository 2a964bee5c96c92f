"""A model's dimensions, read alike from config.json on disk and from the registry, and its sizes.

Letters: D hidden width, V logit width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from OnPolicyDistill.planning.counts import language_part, read_count
from OnPolicyDistill.planning.kept import Kept, parse_kept
from OnPolicyDistill.planning.layer_parts import Config
from OnPolicyDistill.planning.layouts import Layout, block_width, parse_layout
from OnPolicyDistill.planning.mixtures import NOTHING_DENSE, Mixture, parse_mixture
from OnPolicyDistill.planning.targets import Layers, LinearMap
from OnPolicyDistill.planning.vision import VisionDimensions, parse_vision

# MLX's affine quantization keeps a 16-bit scale and bias for each group of weights.
GROUP_OVERHEAD_BITS = 32
DEFAULT_GROUP_SIZE = 64
QKV_BIAS_TYPES = ("qwen2", "qwen2_5_vl", "qwen2_moe")
QK_NORM_TYPES = ("qwen3", "qwen3_moe", "qwen3_vl", "qwen3_vl_moe")
FUSED_TYPES = ("phi3",)
# No attention: their layers have about the weights of a feed-forward part twice as wide as the
# hidden states, which is what a forecast then takes them for.
ATTENTION_FREE = ("falcon_mamba", "mamba", "mamba2")
# The experts' block has another name there.
MIXTRAL_TYPES = ("mixtral",)
# gpt-oss was published with its experts in blocks of 32 weights of 4 bits and a byte of scale.
MXFP4_BITS = 4 + 8 / 32


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What a decoder is made of; `bits` is 16 where the weights are not quantized.

    `expert_layers` are the numbers of the layers that have experts; the others are dense. Every
    token also passes through an expert of `shared_intermediate_size`, where that is not 0.
    `layout` is None for layers like Llama's. `expert_bits` is not 0 where the experts alone are
    packed.
    """

    model_type: str
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    logit_width: int
    tied: bool
    num_experts: int
    experts_per_token: int
    moe_intermediate_size: int
    shared_intermediate_size: int
    expert_layers: tuple[int, ...]
    vision: VisionDimensions | None
    max_positions: int
    kept: Kept
    bits: int = 16
    group_size: int = DEFAULT_GROUP_SIZE
    layout: Layout | None = None
    expert_bits: float = 0.0

    @property
    def vision_parameters(self) -> int:
        """Parameters of the vision tower; 0 for a text model."""
        return 0 if self.vision is None else self.vision.parameters

    @property
    def query_width(self) -> int:
        """Width of all query heads together."""
        return self.num_heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Width of all key heads together; values have the same."""
        return self.num_kv_heads * self.head_dim

    @property
    def kv_bytes_per_token(self) -> int:
        """Keys and values of one token in the layers that attend to everything, in 16-bit."""
        return self.kept.token_bytes

    @property
    def active_intermediate(self) -> int:
        """Width of the feed-forward part that one token passes through, in the widest layer."""
        chosen = self.experts_per_token * self.moe_intermediate_size
        mixed = chosen + self.shared_intermediate_size if self.expert_layers else 0
        is_mixed_throughout = len(self.expert_layers) == self.num_layers
        return mixed if is_mixed_throughout else max(mixed, self.intermediate_size)


def parse_dimensions(config: Mapping[str, object], source: str) -> Dimensions:
    """Read dimensions from the keys of a config.json; vision models keep theirs in text_config.

    Raises:
        ModelError: a key is missing or no positive number; names `source`.
    """
    text = language_part(config)

    def count(key: str, default: int) -> int:
        return read_count(text, key, source, default)

    family = str(text.get("model_type", "")).removesuffix("_text")
    hidden_size = read_count(text, "hidden_size", source)
    num_layers = read_count(text, "num_hidden_layers", source)
    num_heads = read_count(text, "num_attention_heads", source, 0 if _is_free(config) else None)
    num_kv_heads = count("num_key_value_heads", num_heads)
    head_dim = count("head_dim", hidden_size // max(num_heads, 1))
    mixture = parse_mixture(text, family, num_layers, count)
    inner = _inner(text, family, source, hidden_size if _is_free(config) else 0)
    sizes = Config(
        text, count, hidden_size, num_layers, num_heads, num_kv_heads, head_dim, inner, mixture
    )
    bits, group_size = _quantization(config, source)
    return Dimensions(
        model_type=str(config.get("model_type", "")),
        hidden_size=hidden_size,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        intermediate_size=inner,
        logit_width=read_count(text, "vocab_size", source),
        tied=text.get("tie_word_embeddings") is True,
        num_experts=mixture.num_experts,
        experts_per_token=mixture.chosen,
        moe_intermediate_size=mixture.width,
        shared_intermediate_size=mixture.shared_width,
        expert_layers=mixture.layers,
        vision=parse_vision(config.get("vision_config"), str(config.get("model_type", ""))),
        max_positions=count("max_position_embeddings", 0),
        kept=parse_kept(text, num_layers, num_kv_heads * head_dim, count),
        bits=bits,
        group_size=group_size,
        layout=parse_layout(family, sizes),
        expert_bits=_expert_bits(config, mixture),
    )


def decoder_layers(dimensions: Dimensions) -> Layers:
    """The linear maps of every layer, named as mlx-lm's modules are."""
    if dimensions.layout is not None:
        return dimensions.layout.layers
    dense, mixed = dense_layer(dimensions), mixed_layer(dimensions)
    return tuple(
        mixed if number in dimensions.expert_layers else dense
        for number in range(dimensions.num_layers)
    )


def dense_layer(dimensions: Dimensions) -> tuple[LinearMap, ...]:
    """The linear maps of a layer without experts."""
    d = dimensions
    if d.model_type not in FUSED_TYPES:
        return (*_attention(d), *_feed_forward("mlp", d.hidden_size, d.intermediate_size))
    return (
        LinearMap("self_attn.qkv_proj", d.query_width + 2 * d.kv_width, d.hidden_size),
        LinearMap("self_attn.o_proj", d.hidden_size, d.query_width),
        LinearMap("mlp.gate_up_proj", 2 * d.intermediate_size, d.hidden_size),
        LinearMap("mlp.down_proj", d.hidden_size, d.intermediate_size),
    )


def mixed_layer(dimensions: Dimensions) -> tuple[LinearMap, ...]:
    """The linear maps of a layer with experts, its router among them."""
    d = dimensions
    block = "block_sparse_moe" if d.model_type in MIXTRAL_TYPES else "mlp"
    width, copies = d.moe_intermediate_size, d.num_experts
    maps = (
        *_attention(d),
        LinearMap(f"{block}.gate", copies, d.hidden_size),
        *_feed_forward(f"{block}.switch_mlp", d.hidden_size, width, copies),
    )
    if not d.shared_intermediate_size:
        return maps
    return (
        *maps,
        *_feed_forward(f"{block}.shared_expert", d.hidden_size, d.shared_intermediate_size),
        LinearMap(f"{block}.shared_expert_gate", 1, d.hidden_size),
    )


def body_weights(dimensions: Dimensions, experts: int | None = None) -> int:
    """Weights of all layers' linear maps; all experts, or `experts` of them."""
    d = dimensions
    copies = d.num_experts if experts is None else experts
    if d.layout is not None:
        # Layers alike are one object (layouts.py), and a forecast asks this often.
        alike = {id(maps): maps for maps in d.layout.layers}
        counted = Counter(map(id, d.layout.layers))
        layers = sum(count * _weights(alike[key], copies) for key, count in counted.items())
        return layers + d.layout.multiplied
    num_mixed = len(d.expert_layers)
    dense = (d.num_layers - num_mixed) * _weights(dense_layer(d), 1)
    if not num_mixed:
        return dense
    return dense + num_mixed * _weights(mixed_layer(d), copies)


def active_weights(dimensions: Dimensions) -> int:
    """Weights that one token is multiplied with, output head included."""
    body = body_weights(dimensions, dimensions.experts_per_token)
    return body + head_weights(dimensions)


def head_weights(dimensions: Dimensions) -> int:
    """Weights of the output head, tied or not."""
    return dimensions.logit_width * dimensions.hidden_size


def num_parameters(dimensions: Dimensions) -> int:
    """Every parameter, vision tower included; a tied head counts once."""
    embeddings = head_weights(dimensions) * (1 if dimensions.tied else 2)
    if dimensions.layout is not None:
        embeddings += dimensions.layout.looked_up
    vectors = _vectors(dimensions)
    return body_weights(dimensions) + embeddings + vectors + dimensions.vision_parameters


def weight_bytes(dimensions: Dimensions) -> int:
    """Bytes of all weights as stored; quantization leaves norms, biases and vision in 16-bit."""
    linear = num_parameters(dimensions) - _vectors(dimensions) - dimensions.vision_parameters
    sixteen_bit = _vectors(dimensions) + dimensions.vision_parameters
    packed = 0
    if dimensions.expert_bits:
        packed = body_weights(dimensions) - body_weights(dimensions, 0)
    unpacked = round((linear - packed) * bytes_per_weight(dimensions))
    return unpacked + round(packed * dimensions.expert_bits / 8) + 2 * sixteen_bit


def bytes_per_weight(dimensions: Dimensions) -> float:
    """Bytes of one weight of a linear map, group scales and biases included."""
    if dimensions.bits >= 16:
        return dimensions.bits / 8
    return (dimensions.bits + GROUP_OVERHEAD_BITS / dimensions.group_size) / 8


def _attention(d: Dimensions) -> tuple[LinearMap, ...]:
    return (
        LinearMap("self_attn.q_proj", d.query_width, d.hidden_size),
        LinearMap("self_attn.k_proj", d.kv_width, d.hidden_size),
        LinearMap("self_attn.v_proj", d.kv_width, d.hidden_size),
        LinearMap("self_attn.o_proj", d.hidden_size, d.query_width),
    )


def _feed_forward(
    block: str, hidden_size: int, width: int, copies: int = 1
) -> tuple[LinearMap, ...]:
    return (
        LinearMap(f"{block}.gate_proj", width, hidden_size, copies),
        LinearMap(f"{block}.up_proj", width, hidden_size, copies),
        LinearMap(f"{block}.down_proj", hidden_size, width, copies),
    )


def _weights(maps: tuple[LinearMap, ...], experts: int) -> int:
    """Weights of a layer's maps, counting `experts` copies of what experts have."""
    return sum((experts if m.is_expert else 1) * m.outputs * m.inputs for m in maps)


def _vectors(dimensions: Dimensions) -> int:
    """Norms and biases."""
    d = dimensions
    if d.layout is not None:
        return d.layout.vectors
    per_layer = 2 * d.hidden_size
    if d.model_type in QKV_BIAS_TYPES:
        per_layer += d.query_width + 2 * d.kv_width
    if d.model_type in QK_NORM_TYPES:
        per_layer += 2 * d.head_dim
    return d.num_layers * per_layer + d.hidden_size


def _is_free(config: Mapping[str, object]) -> bool:
    return config.get("model_type") in ATTENTION_FREE


def _inner(text: Mapping[str, object], family: str, source: str, hidden_size: int) -> int:
    """Width of a dense feed-forward part; `hidden_size` is 0 for models with attention."""
    if family == "lfm2":
        return block_width(text, lambda key, default: read_count(text, key, source, default))
    default = 2 * hidden_size or (0 if family in NOTHING_DENSE else None)
    return read_count(text, "intermediate_size", source, default)


def _expert_bits(config: Mapping[str, object], mixture: Mixture) -> float:
    """Bits of an expert's weight where the publisher packed the experts alone, else 0."""
    packing = config.get("quantization_config")
    is_mxfp4 = isinstance(packing, dict) and packing.get("quant_method") == "mxfp4"
    return MXFP4_BITS if is_mxfp4 and mixture.num_experts and "quantization" not in config else 0.0


def _quantization(config: Mapping[str, object], source: str) -> tuple[int, int]:
    settings = config.get("quantization")
    if not isinstance(settings, dict):
        return 16, DEFAULT_GROUP_SIZE
    bits = read_count(settings, "bits", source)
    return bits, read_count(settings, "group_size", source, default=DEFAULT_GROUP_SIZE)
