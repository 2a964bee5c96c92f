"""An adapter merged into its weights on a CPU, where that gives the same policy.

LoRA's two narrow products are 42 of the 70 that a decoded token costs the demonstration's student.
W + scale * (A B)^T, made once a step, has their result in one: exactly but for the order of float32
sums. In 16 bits or packed weights the merged ones would be rounded and the sampled policy another
than the scored one; there, and on a GPU, where a copy of the weights costs more than it saves,
nothing is merged.

While rows are learned from, one wide product and its gradient stand in for LoRA's six narrow ones,
where the rank is large enough that this is less work: the gradients of A and B follow from that of
the merged weight. An adapter of small rank stays as it is; the merged weights would be a copy more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten
from mlx_lm.tuner.lora import LoRALinear

from OnPolicyDistill.adapters.dropout import SeededDropout
from OnPolicyDistill.adapters.lora import adapter_layers

# Products of width rank that a position costs in both passes: two forward, four back.
NARROW_PRODUCTS = 6


class MergedLinear(nn.Module):
    """A linear layer with its adapter's part in the weight."""

    def __init__(self, layer: LoRALinear) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # MLX's own
        self.weight = merged_weight(layer)
        if "bias" in layer.linear:
            self.bias = layer.linear.bias

    def __call__(self, values: mx.array) -> mx.array:
        """Map values (..., in) to (..., out)."""
        if "bias" in self:
            return mx.addmm(self.bias, values, self.weight.T)
        return values @ self.weight.T


class LearningMerged(LoRALinear):
    """A layer with an adapter that merges it at every call, so that gradients reach A and B."""

    def __call__(self, values: mx.array) -> mx.array:
        """Map values (..., in) to (..., out)."""
        weight = merged_weight(self)
        if "bias" in self.linear:
            return mx.addmm(self.linear.bias, values, weight.T)
        return values @ weight.T


def merged_weight(layer: LoRALinear) -> mx.array:
    """W + scale * (A B)^T, (out, in)."""
    weight: mx.array = layer.linear.weight
    return weight + (layer.scale * layer.lora_b.T) @ layer.lora_a.T


@contextmanager
def merged_for_learning(model: nn.Module) -> Iterator[None]:
    """Learn with merged layers in the block where that is less work; names stay as they are."""
    on_cpu = mx.default_device().type == mx.DeviceType.cpu
    layers = [layer for layer in adapter_layers(model).values() if on_cpu and _pays(layer)]
    for layer in layers:
        layer.__class__ = LearningMerged
    try:
        yield
    finally:
        for layer in layers:
            layer.__class__ = LoRALinear


def _pays(layer: nn.Module) -> bool:
    """Whether one product of the weight's size costs less than those of the adapter's rank."""
    if not _is_exact(layer) or not isinstance(layer.dropout, SeededDropout) or layer.dropout.drops:
        return False
    outputs, inputs = layer.linear.weight.shape
    rank = layer.lora_a.shape[1]
    return bool(outputs * inputs < NARROW_PRODUCTS * rank * (outputs + inputs))


@contextmanager
def merged_for_decoding(model: nn.Module) -> Iterator[None]:
    """Decode with merged layers in the block; the model is put back as it was after it."""
    adapted = adapter_layers(model)
    layers = {name: layer for name, layer in adapted.items() if _is_exact(layer)}
    if mx.default_device().type != mx.DeviceType.cpu or len(layers) < len(adapted):
        yield
        return
    merged = {name: MergedLinear(layer) for name, layer in layers.items()}
    mx.eval([layer.weight for layer in merged.values()])
    model.update_modules(tree_unflatten(list(merged.items())))
    try:
        yield
    finally:
        model.update_modules(tree_unflatten(list(layers.items())))


def _is_exact(layer: nn.Module) -> TypeGuard[LoRALinear]:
    """Whether the merged weight is the sum of both, not rounded to fewer bits."""
    return (
        type(layer) is LoRALinear
        and type(layer.linear) is nn.Linear
        and layer.linear.weight.dtype == mx.float32
    )
