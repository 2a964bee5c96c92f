"""Kernels that round otherwise, as a Mac's do: the same products with other bits.

On Metal a token is decoded by other kernels than those that score a whole row. Under `bf16_decode`
products with one row add up the halves of their sum after rounding each to bfloat16, which is
coarser than any of MLX's kernels. Under `tf32` the operands of float32 products with two or more
rows are cut to ten mantissa bits, as on an M5 without MLX_ENABLE_TF32=0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mlx.core as mx
import pytest

KEPT_BITS = 0xFFFFE000  # sign, exponent and ten of 23 mantissa bits

Product = Callable[[mx.array, mx.array], mx.array]


@contextmanager
def tf32() -> Iterator[None]:
    """Cut the operands of float32 products with two or more rows."""

    def product(exact: Product, left: mx.array, right: mx.array) -> mx.array:
        if left.dtype != mx.float32 or left.ndim < 2 or left.shape[-2] < 2:
            return exact(left, right)
        return exact(_cut(left), _cut(right))

    with _products(product):
        yield


@contextmanager
def bf16_decode() -> Iterator[None]:
    """Round partial sums of bfloat16 products with one row."""

    def product(exact: Product, left: mx.array, right: mx.array) -> mx.array:
        if left.dtype != mx.bfloat16:
            return exact(left, right)
        # MLX's CPU kernels of bfloat16 are slow; in float32 the sums are the same.
        left, right = left.astype(mx.float32), right.astype(mx.float32)
        half = left.shape[-1] // 2
        if left.shape[-2] != 1 or half == 0:
            return exact(left, right).astype(mx.bfloat16)
        first = exact(left[..., :half], right[..., :half, :]).astype(mx.bfloat16)
        return first + exact(left[..., half:], right[..., half:, :]).astype(mx.bfloat16)

    with _products(product):
        yield


def _cut(values: mx.array) -> mx.array:
    """Values with ten mantissa bits; the gradient passes as if they were whole."""
    short = (values.view(mx.uint32) & KEPT_BITS).view(mx.float32)
    return values + mx.stop_gradient(short - values)


@contextmanager
def _products(product: Callable[[Product, mx.array, mx.array], mx.array]) -> Iterator[None]:
    exact: Product = mx.array.__matmul__

    def addmm(added: mx.array, left: mx.array, right: mx.array) -> mx.array:
        return added + product(exact, left, right)

    def quantized_matmul(values: mx.array, weight: mx.array, **packing: object) -> mx.array:
        transpose = packing.pop("transpose", True)
        whole = mx.dequantize(weight, **packing, dtype=values.dtype)
        return product(exact, values, whole.T if transpose else whole)

    def attend(
        queries: mx.array,
        keys: mx.array,
        values: mx.array,
        *,
        scale: float,
        mask: object = None,
        sinks: object = None,
    ) -> mx.array:
        shared = queries.shape[1] // keys.shape[1]
        keys, values = mx.repeat(keys, shared, axis=1), mx.repeat(values, shared, axis=1)
        scores = product(exact, queries * scale, keys.swapaxes(-1, -2)).astype(mx.float32)
        if isinstance(mask, str):
            L, T = scores.shape[-2:]
            mask = mx.arange(T)[None] <= mx.arange(T - L, T)[:, None]
        if isinstance(mask, mx.array):
            scores = mx.where(mask, scores, -mx.inf) if mask.dtype == mx.bool_ else scores + mask
        weights = mx.softmax(scores, axis=-1).astype(values.dtype)
        return product(exact, weights, values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mx.array, "__matmul__", lambda left, right: product(exact, left, right))
        patch.setattr(mx, "matmul", lambda left, right: product(exact, left, right))
        patch.setattr(mx, "addmm", addmm)
        patch.setattr(mx, "quantized_matmul", quantized_matmul)
        patch.setattr(mx.fast, "scaled_dot_product_attention", attend)
        yield
