"""Rows side by side on a CPU's cores.

MLX's CPU build does one operation after the other on one thread a stream; of two cores only matrix
products use both, and small ones lose more by waiting for each other than they gain. Rows of a
batch do not need one another: half of them on a second stream, with one thread a product, keep both
cores at work. A GPU fills itself, and has one lane.

Prompts are read in lanes, but decoding has none: one of its steps is hundreds of tiny operations,
whose number doubles (18 tokens of 32 rows took 0.164 s of processor time in two lanes and 0.090 in
one).

Sums over rows are then taken lane by lane, in the same order every time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

from OnPolicyDistill.arrays import set_blas_threads

import mlx.core as mx  # isort: skip

# More was never measured: there were two cores.
MOST_LANES = 2

Result = TypeVar("Result")

# A stream belongs to the thread that made it.
_of_thread = threading.local()


def num_lanes(num_rows: int) -> int:
    """In how many parts so many rows are computed on the device that MLX uses now."""
    if mx.default_device().type != mx.DeviceType.cpu or vars(_of_thread).get("is_single", False):
        return 1
    return max(min(MOST_LANES, os.cpu_count() or 1, num_rows), 1)


def in_lanes(num_rows: int, part: Callable[[slice], Result]) -> list[Result]:
    """What `part` makes of each lane's rows, in their order: recorded, not yet computed.

    Evaluate it inside `one_thread_a_product`.
    """
    lanes = num_lanes(num_rows)
    ends = [num_rows * lane // lanes for lane in range(lanes + 1)]
    made = []
    for lane, (start, end) in enumerate(pairwise(ends)):
        with _on(lane):
            made.append(part(slice(start, end)))
    return made


@contextmanager
def one_thread_a_product(lanes: int) -> Iterator[None]:
    """Keep matrix products to one thread where there are several lanes.

    What was recorded inside has to be evaluated inside.
    """
    before = set_blas_threads(1) if lanes > 1 else 0
    try:
        yield
    finally:
        if before:
            set_blas_threads(before)


@contextmanager
def single_lane() -> Iterator[None]:
    """Keep this thread's rows in one lane: where they meet other ranks, in one order on all."""
    before = vars(_of_thread).get("is_single", False)
    _of_thread.is_single = True
    try:
        yield
    finally:
        _of_thread.is_single = before


@contextmanager
def _on(lane: int) -> Iterator[None]:
    """Record operations on a lane's stream, from 0; the first one's is in use anyway."""
    if lane == 0:
        yield
        return
    streams: dict[str, mx.Stream] = vars(_of_thread)
    name = f"lane_{lane}"
    if name not in streams:
        streams[name] = mx.new_stream(mx.Device(mx.DeviceType.cpu))
    with mx.stream(streams[name]):
        yield
