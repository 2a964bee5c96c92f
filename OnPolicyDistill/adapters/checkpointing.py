"""Gradient checkpointing: layers recompute their activations in the backward pass.

mlx-lm's `grad_checkpoint` patches the layer's class, which catches a teacher of the same class and
nests when it is called twice. Here single layers change to a subclass of their own class, so that
parameter names, other models and `isinstance` stay as they were. A layer that is recomputed meets
the dropout masks of its forward pass again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard, cast

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten, tree_unflatten

from OnPolicyDistill.adapters.dropout import SeededDropout, mask_positions, set_mask_positions
from OnPolicyDistill.errors import ModelError

Arrays = list[mx.array]


def checkpoint_layers(model: nn.Module) -> int:
    """Make this model's layers recompute activations while learning; returns how many can.

    Calls with a key-value cache, that is generation, run as before. Calling it twice changes
    nothing.

    Raises:
        ModelError: a layer has a dropout of its own, whose masks could not be drawn again.
    """
    layers: list[nn.Module] = list(model.layers)
    for layer in layers:
        if any(map(_draws_anew, layer.modules())):
            raise ModelError(
                "The model has dropout inside its layers, which cannot be recomputed exactly.",
                "Set grad_checkpoint to false.",
            )
    for layer in layers:
        if not isinstance(layer, Recomputing):
            layer.__class__ = _recomputing(type(layer))
            layer.num_recomputed = 0
    return len(layers)


def num_recomputed(model: nn.Module) -> int:
    """How often layers of this model were recomputed so far: once each for a backward pass."""
    return sum(layer.num_recomputed for layer in model.layers if isinstance(layer, Recomputing))


class Recomputing(nn.Module):
    """Marks layers whose activations are recomputed, and counts how often they were."""

    num_recomputed: int


def _recomputing(plain: type[nn.Module]) -> type[nn.Module]:
    def call(self: nn.Module, *inputs: object, **named: object) -> object:
        if not _is_plain_data((inputs, named)):
            return plain.__call__(self, *inputs, **named)
        first_masks = mask_positions(self)
        num_runs = 0

        def run(parameters: dict[str, object], *inputs: object, **named: object) -> object:
            nonlocal num_runs
            num_runs += 1
            if num_runs == 1:
                with _holding(self, parameters):
                    return plain.__call__(self, *inputs, **named)
            self.num_recomputed += 1
            masks = mask_positions(self)
            set_mask_positions(self, first_masks)
            try:
                with _holding(self, parameters):
                    return plain.__call__(self, *inputs, **named)
            finally:
                set_mask_positions(self, masks)

        parameters, inputs = _finishing_here(self.trainable_parameters(), inputs)
        return mx.checkpoint(run)(parameters, *inputs, **named)

    return type(plain.__name__, (plain, Recomputing), {"__call__": call})


def _finishing_here(
    parameters: dict[str, object], inputs: tuple[object, ...]
) -> tuple[dict[str, object], tuple[object, ...]]:
    """The same arrays, whose gradients the backward pass makes before it goes to earlier layers.

    The parameters' wait for nothing else, and MLX may leave them to the end, with what every layer
    computed anew for them.
    """
    flat: list[tuple[str, mx.array]] = tree_flatten(parameters)  # type: ignore[assignment]
    arrays = [each for each in inputs if _has_slope(each)]
    if not flat or not arrays:
        return parameters, inputs
    values, arrays = cast("tuple[Arrays, Arrays]", _together([value for _, value in flat], arrays))
    tied = iter(arrays)
    names = (name for name, _ in flat)
    return (
        dict(tree_unflatten(list(zip(names, values, strict=True)))),
        tuple(next(tied) if _has_slope(each) else each for each in inputs),
    )


def _has_slope(each: object) -> TypeGuard[mx.array]:
    return isinstance(each, mx.array) and mx.issubdtype(each.dtype, mx.floating)


@mx.custom_function
def _together(parameters: Arrays, inputs: Arrays) -> tuple[Arrays, Arrays]:
    return parameters, inputs


@_together.vjp
def _together_vjp(
    _given: tuple[Arrays, Arrays], cotangents: tuple[Arrays, Arrays], _same: tuple[Arrays, Arrays]
) -> tuple[Arrays, Arrays]:
    of_parameters, of_inputs = cotangents
    return of_parameters, mx.depends(of_inputs, of_parameters)


def _draws_anew(module: nn.Module) -> bool:
    """Whether a module drops elements by numbers from MLX's global stream."""
    is_dropout = isinstance(module, nn.Dropout) and not isinstance(module, SeededDropout)
    return is_dropout and module._p_1 < 1


@contextmanager
def _holding(layer: nn.Module, parameters: dict[str, object]) -> Iterator[None]:
    """Let a layer compute with placeholders of a recorded computation, then give its own back."""
    own = layer.trainable_parameters()
    layer.update(parameters)
    try:
        yield
    finally:
        layer.update(own)


def _is_plain_data(inputs: object) -> bool:
    """Whether inputs are arrays and constants, in tuples, lists and dicts: no key-value cache."""
    leaves: list[tuple[str, object]] = tree_flatten(inputs)  # type: ignore[assignment]
    constants = mx.array | str | int | float | None
    return all(isinstance(leaf, constants) for _, leaf in leaves)
