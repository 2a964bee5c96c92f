"""Walk over positions a few at a time, so that no (positions, vocabulary) array exists whole.

Letters: N positions, V vocabulary, D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

# Float32 logits of one chunk. A head is read about three times a chunk: by the student's product,
# the teacher's, and the one that pulls the gradient back. A GPU multiplies n rows while it reads
# the weights once, where n is its operations a second over its bytes a second: 34 for an M2 Ultra,
# 105 for an M5 Max (docs/performance.md); so it wants 128 rows at 151,936 tokens. A CPU is there
# with 16, and more rows only leave its caches; it works on the chunks of two lanes at once.
CPU_CHUNK_BYTES = 8 * 2**20
GPU_CHUNK_BYTES = 80 * 2**20
SLICES_PER_CHUNK = 8


def chunk_bytes() -> int:
    """Bytes that the float32 logits of a chunk may take on the device that MLX uses now."""
    on_gpu = mx.default_device().type == mx.DeviceType.gpu
    return GPU_CHUNK_BYTES if on_gpu else CPU_CHUNK_BYTES


def rows_per_chunk(vocab_size: int, chunk_size: int | None = None) -> int:
    """Return `chunk_size`, or else the rows whose float32 logits stay within `chunk_bytes`.

    The default is a multiple of 16, at least 16: at a vocabulary of 151,936 it is 16 on a CPU and
    128 on a GPU.
    Raises ValueError below 1.
    """
    if chunk_size is None:
        return max(chunk_bytes() // (4 * vocab_size) // 16 * 16, 16)
    if chunk_size < 1:
        raise ValueError(f"the chunk size must be at least 1, not {chunk_size}")
    return chunk_size


def rows_per_slice(chunk_size: int) -> int:
    """How many of a chunk's rows to work on at once after they have been projected.

    About a dozen temporary arrays are alive at once, most of them waiting to be freed while the
    device catches up: slices keep them small where the matrix products want more rows.
    """
    return -(-chunk_size // SLICES_PER_CHUNK)


def map_chunks(
    function: Callable[..., tuple[mx.array, ...]],
    inputs: tuple[mx.array, ...],
    chunk_size: int,
) -> tuple[mx.array, ...]:
    """Apply a row-wise function to chunks of rows and join its outputs.

    Every input is (N, ...), every output of a chunk has that chunk's rows. MLX evaluates a lazy
    graph breadth-first, which would build the logits of all chunks before the first is consumed:
    each chunk is therefore made to depend on every output of the one before. Raises ValueError
    for no rows or unequal rows.
    """
    num_rows = inputs[0].shape[0]
    if num_rows == 0 or any(array.shape[0] != num_rows for array in inputs):
        raise ValueError(f"expected equal, non-zero rows: {[array.shape for array in inputs]}")
    finished: list[tuple[mx.array, ...]] = []
    for start in range(0, num_rows, chunk_size):
        rows = [array[start : start + chunk_size] for array in inputs]
        if finished:
            rows = mx.depends(rows, list(finished[-1]))
        finished.append(function(*rows))
    return tuple(mx.concatenate(list(parts)) for parts in zip(*finished, strict=True))


def carry_gradient(value: mx.array, hidden: mx.array, gradient: mx.array) -> mx.array:
    """Give a finished scalar a gradient: the value itself, with d/d hidden = gradient (N, D).

    The gradient was made in the same pass as the value, where the logits existed. Nothing else
    behind `value` or `gradient` is differentiated.
    """
    carrier = (mx.stop_gradient(gradient) * hidden).sum()
    return mx.stop_gradient(value) + (carrier - mx.stop_gradient(carrier))
