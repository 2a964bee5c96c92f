"""A mixture's experts in numbers, read from config.json, where every family has keys of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Reads a count of a config: the key, and what a missing one means.
Count = Callable[[str, int], int]

# Families in which all layers have experts, so that a config need not name a dense width.
NOTHING_DENSE = ("gpt_oss", "qwen3_5_moe")
# An expert's width is called intermediate_size there.
NARROW_WIDTHS = ("gpt_oss", "granitemoehybrid", "mixtral")
# Experts that are counted in n_routed_experts, behind so many dense layers.
ROUTED = ("glm4_moe", "glm4_moe_lite")
# How many experts a token passes through, where it is not num_experts_per_tok.
CHOSEN = {"gemma4": "top_k_experts"}


@dataclass(frozen=True, slots=True)
class Mixture:
    """Experts of a model; all 0 and empty where there are none.

    `shared_width` is that of the part which every token passes through beside its experts, and
    `layers` are the numbers of the layers that have experts.
    """

    num_experts: int = 0
    chosen: int = 0
    width: int = 0
    shared_width: int = 0
    layers: tuple[int, ...] = ()


def parse_mixture(
    text: Mapping[str, object], family: str, num_layers: int, count: Count
) -> Mixture:
    """Read the experts of a language model's config; `family` is its `model_type` without _text."""
    num_experts = count(_count_key(text, family), 0)
    if not num_experts:
        return Mixture()
    width = count("intermediate_size" if family in NARROW_WIDTHS else "moe_intermediate_size", 0)
    return Mixture(
        num_experts=num_experts,
        chosen=count(CHOSEN.get(family, "num_experts_per_tok"), 0),
        width=width,
        shared_width=_shared_width(family, width, count),
        layers=_expert_layers(text, family, num_layers, count),
    )


def _count_key(text: Mapping[str, object], family: str) -> str:
    """Mixtral's name for them is transformers 5's for everybody's, and DeepSeek's is a third."""
    if family in ROUTED:
        return "n_routed_experts"
    is_local = family in ("mixtral", "gpt_oss") or "num_experts" not in text
    return "num_local_experts" if is_local else "num_experts"


def _shared_width(family: str, width: int, count: Count) -> int:
    if family in ROUTED:
        return count("n_shared_experts", 0) * width
    if family == "gemma4":  # a dense part beside the experts, in every layer
        return count("intermediate_size", 0)
    if family == "granitemoehybrid":
        return count("shared_intermediate_size", 0)
    return count("shared_expert_intermediate_size", 0)


def _expert_layers(
    text: Mapping[str, object], family: str, num_layers: int, count: Count
) -> tuple[int, ...]:
    """Numbers of the layers with experts: all, but for those that the configuration takes out."""
    first = count("first_k_dense_replace", 0) if family in ROUTED else 0
    if family == "lfm2_moe":
        first = count("num_dense_layers", 0)
    if family == "qwen3_5_moe":  # mlx-lm gives every layer of it experts, whatever the rest says
        return tuple(range(num_layers))
    stride = count("decoder_sparse_step", 1)
    dense = text.get("mlp_only_layers")
    taken = dense if isinstance(dense, list) else []
    return tuple(
        number
        for number in range(first, num_layers)
        if (number + 1) % stride == 0 and number not in taken
    )
