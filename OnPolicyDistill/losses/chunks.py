"""Walk over positions a few at a time, so that no (positions, vocabulary) array exists whole.

Letters: N positions, V vocabulary, D hidden width.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx

CHUNK_BYTES = 32 * 2**20
SLICES_PER_CHUNK = 8


def rows_per_chunk(vocab_size: int, chunk_size: int | None = None) -> int:
    """Return `chunk_size`, or else the rows whose float32 logits stay within CHUNK_BYTES.

    The default is a multiple of 16, at least 16: 48 at a vocabulary of 151,936. Fewer rows make
    slow matrix products, more only cost memory.
    Raises ValueError below 1.
    """
    if chunk_size is None:
        return max(CHUNK_BYTES // (4 * vocab_size) // 16 * 16, 16)
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
