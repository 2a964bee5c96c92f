"""Linear attention that learns: recurrences over tokens that have a gradient, a piece at a time.

mlx-lm computes the gated delta rule (Qwen3-Next, Qwen3.5, Kimi Linear, OLMo Hybrid) and RWKV's
recurrence by Metal kernels, which have no gradient: "[Primitive::vjp] Not implemented for
CustomKernel" (https://github.com/ml-explore/mlx-lm/issues/482). While a model is in training mode
the first takes plain operations; the second does not, so it is made to here.

Those operations go token by token, and autodiff through them keeps every token's state and, worse,
gives each token's slice a gradient as long as the whole row. Rows are therefore cut into pieces
whose steps are computed again in the backward pass, which changes no number. Measured on a CPU for
one layer of 16 heads of 128 and 512 tokens: 1.2 s instead of 14.1 s, 0.69 GB instead of 1.93 GB.

Letters: B rows, T length, H heads, D width of a head.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
from mlx_lm.models import gated_delta, rwkv7

# Tokens between two states that are kept. Fewer keep more states, more compute longer slices.
PIECE_TOKENS = 32

_delta_steps = gated_delta.gated_delta_ops
_rwkv_kernel = rwkv7.Rwkv7TimeMixing._wkv7


def give_recurrences_gradients() -> None:
    """Let mlx-lm's recurrences be differentiated, in this process; again changes nothing."""
    gated_delta.gated_delta_ops = gated_delta_rule
    rwkv7.Rwkv7TimeMixing._wkv7 = _rwkv_recurrence  # type: ignore[method-assign]  # on purpose


def gated_delta_rule(  # noqa: PLR0913, PLR0917  (as mlx-lm calls it)
    q: mx.array,
    k: mx.array,
    v: mx.array,
    g: mx.array,
    beta: mx.array,
    state: mx.array | None = None,
    mask: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """The gated delta rule as mlx-lm's `gated_delta_ops` has it: y (B, T, H, D), and the state.

    q and k are (B, T, Hk, Dk), v is (B, T, Hv, Dv), beta (B, T, Hv), g the same or (B, T, Hv, Dk),
    the state (B, Hv, Dv, Dk); the mask (B, T) is false at padding.
    """
    num_tokens = q.shape[1]
    if state is None:
        state = mx.zeros((q.shape[0], v.shape[2], v.shape[3], q.shape[3]), dtype=mx.float32)
    if num_tokens <= PIECE_TOKENS:
        y, state = _delta_steps(q, k, v, g, beta, state, mask)
        return y, state
    rows = (q, k, v, g, beta) if mask is None else (q, k, v, g, beta, mask)
    steps = mx.checkpoint(_steps)
    found = []
    for piece in zip(*map(_pieces, rows), strict=True):
        y, state = steps(state, *piece)
        found.append(y)
    return mx.concatenate(found, axis=1), state


def _steps(state: mx.array, *rows: mx.array) -> tuple[mx.array, mx.array]:
    q, k, v, g, beta, *mask = rows
    y, state = _delta_steps(q, k, v, g, beta, state, *mask)
    return y, state


def _pieces(row: mx.array) -> Sequence[mx.array]:
    """Cut along T; the gradient of a cut is a join, that of a slice as long as the whole row."""
    cuts = list(range(PIECE_TOKENS, row.shape[1], PIECE_TOKENS))
    return mx.split(row, cuts, axis=1)  # type: ignore[return-value]  # a list, MLX's stub says one


def _rwkv_recurrence(
    mixing: rwkv7.Rwkv7TimeMixing, *inputs: mx.array | None
) -> tuple[mx.array, mx.array]:
    """RWKV's recurrence over (B, T, H, D): plain steps while learning, else what mlx-lm chooses.

    The inputs are mlx-lm's r, w, k, v, a and b, and the state (B, H, D, D) or None.
    """
    if not mixing.training:
        y, state = _rwkv_kernel(mixing, *inputs)  # type: ignore[no-untyped-call]
        return y, state
    *rows, state = inputs
    assert rows[0] is not None
    B, T, H, D = rows[0].shape
    found = []
    for step in zip(*(mx.split(row, T, axis=1) for row in rows if row is not None), strict=True):
        r, w, k, v, a, b = (each[:, 0] for each in step)
        state = mx.zeros((B, H, D, D), dtype=r.dtype) if state is None else state
        y, state = rwkv7._wkv7_step_ops(r, w, k, v, a, b, state)
        found.append(y)
    return mx.stack(found, axis=1).astype(r.dtype), state
