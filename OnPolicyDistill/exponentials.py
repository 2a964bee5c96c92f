"""Exponentials where MLX has no quick ones: its CPU build for Linux.

That build computes e^x number by number, 11.5 ns each (Metal and Apple's CPUs have vectors for it),
and losses, sampling and gated layers are made of little else: 70 of 260 ms of a step of the
demonstration. Here e^x is 2^k times a polynomial of the rest, a dozen additions and products that
the compiler puts side by side: less than a tenth of the time, within two units of the last place.

The range is that of normal float32 numbers: below e^-87.7 comes exactly 0, above e^88.4 infinity.
Everything else (other types, other devices) goes to MLX.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import cast

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)

import mlx.core as mx  # isort: skip

LOG2_E = 1.4426950408889634
# ln 2 in two parts: the first has few bits, so that its product with a small integer is exact.
LN2_HIGH, LN2_LOW = 0.693145751953125, 1.428606765330187e-6
# Added and taken away again it rounds to an integer, which its last bits then are.
ROUNDER = 12582912.0
LOWEST, HIGHEST = -88.02, 88.72
MANTISSA_BITS, EXPONENT_BIAS = 23, 127


def is_slow() -> bool:
    """Whether MLX computes exponentials number by number where it works now."""
    return sys.platform == "linux" and mx.default_device().type == mx.DeviceType.cpu


def exponential(values: mx.array) -> mx.array:
    """e^x of every number; the gradient is its own."""
    if values.dtype != mx.float32 or not is_slow():
        return mx.exp(values)
    return cast(mx.array, _exponential(values))


def gated(gate: mx.array, values: mx.array) -> mx.array:
    """silu(gate) * values of float32 arrays, with the gradients of both, where `is_slow`."""
    return cast(mx.array, _gated(gate, values))


# One output each: compiled for any shape, two outputs of one function may get each other's shapes.
@partial(mx.compile, shapeless=True)
def _rounded(values: mx.array) -> mx.array:
    """A number whose last bits are the power of two in e^x."""
    return mx.minimum(mx.maximum(values, LOWEST), HIGHEST) * LOG2_E + ROUNDER


@partial(mx.compile, shapeless=True)
def _times(values: mx.array, rounded: mx.array, power: mx.array) -> mx.array:
    """e^x: what is left of x beyond a power of two, as a polynomial, times that power."""
    x = mx.minimum(mx.maximum(values, LOWEST), HIGHEST)
    k = rounded - ROUNDER
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    tail = 1 / 24 + r * (1 / 120 + r * (1 / 720))
    return (1 + r * (1 + r * (0.5 + r * (1 / 6 + r * tail)))) * power


def _computed(values: mx.array) -> mx.array:
    """A polynomial times a power of two, written into the exponent: -127 is 0, 128 infinity."""
    rounded = _rounded(values)
    bits = mx.left_shift(mx.view(rounded, mx.int32), mx.array(MANTISSA_BITS))
    power = mx.view(bits + (EXPONENT_BIAS << MANTISSA_BITS), mx.float32)
    return _times(values, rounded, power)


@mx.custom_function
def _exponential(values: mx.array) -> mx.array:
    return _computed(values)


@_exponential.vjp
def _exponential_vjp(_values: mx.array, cotangent: mx.array, output: mx.array) -> mx.array:
    return cotangent * output


@partial(mx.compile, shapeless=True)
def _gate_times(gate: mx.array, values: mx.array, inverse: mx.array) -> mx.array:
    return gate / (1 + inverse) * values


@partial(mx.compile, shapeless=True)
def _gate_slope(
    gate: mx.array, values: mx.array, inverse: mx.array, cotangent: mx.array
) -> mx.array:
    sigmoid = 1 / (1 + inverse)
    return cotangent * values * (sigmoid + gate * sigmoid * (1 - sigmoid))


@mx.custom_function
def _gated(gate: mx.array, values: mx.array) -> mx.array:
    return _gate_times(gate, values, _computed(-gate))


@_gated.vjp
def _gated_vjp(
    inputs: tuple[mx.array, mx.array], cotangent: mx.array, _output: mx.array
) -> tuple[mx.array, mx.array]:
    gate, values = inputs
    inverse = _computed(-gate)
    return _gate_slope(gate, values, inverse, cotangent), _gate_times(gate, cotangent, inverse)
