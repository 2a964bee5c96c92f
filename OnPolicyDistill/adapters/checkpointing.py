"""Gradient checkpointing: layers recompute their activations in the backward pass.

mlx-lm's `grad_checkpoint` patches the layer's class, which catches a teacher of the same class and
nests when it is called twice. Here single layers change to a subclass of their own class, so that
parameter names, other models and `isinstance` stay as they were.
"""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn


def checkpoint_layers(model: nn.Module) -> int:
    """Make this model's layers recompute activations while learning; returns how many do.

    Calls with a key-value cache, that is generation, run as before. Calling it twice changes
    nothing.
    """
    layers: list[nn.Module] = list(model.layers)
    for layer in layers:
        if not isinstance(layer, Recomputing):
            layer.__class__ = _recomputing(type(layer))
    return len(layers)


class Recomputing(nn.Module):
    """Marks layers whose activations are recomputed."""


def _recomputing(plain: type[nn.Module]) -> type[nn.Module]:
    def call(self: nn.Module, *inputs: object, cache: object = None) -> object:
        if cache is not None:
            return plain.__call__(self, *inputs, cache=cache)
        if not all(value is None or isinstance(value, mx.array | str) for value in inputs):
            return plain.__call__(self, *inputs)
        parameters = self.trainable_parameters()

        def run(parameters: dict[str, object], *inputs: object) -> object:
            self.update(parameters)
            return plain.__call__(self, *inputs)

        try:
            return mx.checkpoint(run)(parameters, *inputs)
        finally:
            # Inside `run` the layer held placeholders of the recorded computation.
            self.update(parameters)

    return type(plain.__name__, (plain, Recomputing), {"__call__": call})
