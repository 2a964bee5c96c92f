"""Dropout whose masks can be drawn again: gradient checkpointing runs a layer twice.

`nn.Dropout` takes its numbers from MLX's global stream, so a layer that is recomputed in the
backward pass would meet other masks than in the forward pass, and its gradient would be that of
neither. Here a mask is a function of a seed, of the module's place in the model and of how often
the module was called since; the count can be set back.
"""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

# A mask's key holds the place in its upper 16 bits and the call in its lower ones.
PLACES = CALLS = 2**16


@dataclass(frozen=True, slots=True)
class MaskPosition:
    """Which mask comes next: `place` tells modules apart, `call` counts masks since the seed."""

    seed: int
    place: int
    call: int


class SeededDropout(nn.Dropout):
    """Zeroes each element with probability `rate` while training and scales up what is left.

    Raises ValueError unless 0 <= rate < 1.
    """

    def __init__(self, rate: float) -> None:
        super().__init__(rate)
        self.position = MaskPosition(0, 0, 0)

    @property
    def drops(self) -> bool:
        """Whether anything is dropped now."""
        return self.training and self._p_1 < 1

    def __call__(self, x: mx.array) -> mx.array:
        """Drop elements of x, of any shape and type; x itself where nothing is dropped."""
        if not self.drops:
            return x
        at = self.position
        self.position = MaskPosition(at.seed, at.place, at.call + 1)
        key = mx.array([at.seed, at.place * CALLS + at.call % CALLS], dtype=mx.uint32)
        mask = mx.random.bernoulli(self._p_1, x.shape, key=key)
        return (mask * x) * (1 / self._p_1)


def seed_dropout(model: nn.Module, seed: int) -> None:
    """Begin a new series of masks, from a seed of 32 bits; modules get series of their own."""
    for place, module in enumerate(dropouts(model)):
        module.position = MaskPosition(seed, place % PLACES, 0)


def dropouts(module: nn.Module) -> list[SeededDropout]:
    """Seeded dropouts inside a module, in an order that depends on its structure alone."""
    return [inner for _, inner in module.named_modules() if isinstance(inner, SeededDropout)]


def mask_positions(module: nn.Module) -> list[MaskPosition]:
    """Where the module's dropouts stand, for `set_mask_positions`."""
    return [inner.position for inner in dropouts(module)]


def set_mask_positions(module: nn.Module, positions: list[MaskPosition]) -> None:
    """Let the module draw the masks again that followed `mask_positions`."""
    for inner, position in zip(dropouts(module), positions, strict=True):
        inner.position = position
