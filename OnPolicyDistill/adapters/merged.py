"""An adapter merged into its weights while rows are decoded, where that gives the same policy.

LoRA's two narrow products are 42 of the 70 that a decoded token costs the demonstration's student.
W + scale * (A B)^T, made once a step, has their result in one: exactly but for the order of float32
sums. In 16 bits or packed weights the merged ones would be rounded and the sampled policy another
than the scored one; there, and on a GPU, where a copy of the weights costs more than it saves,
nothing is merged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten
from mlx_lm.tuner.lora import LoRALinear

from OnPolicyDistill.adapters.lora import adapter_layers


class MergedLinear(nn.Module):
    """A linear layer with its adapter's part in the weight."""

    def __init__(self, layer: LoRALinear) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # MLX's own
        delta = (layer.scale * layer.lora_b.T) @ layer.lora_a.T
        self.weight = layer.linear.weight + delta
        if "bias" in layer.linear:
            self.bias = layer.linear.bias

    def __call__(self, values: mx.array) -> mx.array:
        """Map values (..., in) to (..., out)."""
        if "bias" in self:
            return mx.addmm(self.bias, values, self.weight.T)
        return values @ self.weight.T


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
