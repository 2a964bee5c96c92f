"""MLX's memory: what it holds, what it may hold, and giving it back between phases.

Metal keeps freed buffers for reuse, so a phase that peaked would starve the next one; the wired
limit keeps weights resident near the memory limit. Both exist on Metal only and are skipped
elsewhere.
"""

from __future__ import annotations

import gc

import mlx.core as mx

from OnPolicyDistill.arrays import as_int

BUFFER_CACHE_SHARE = 0.05


def prepare_device() -> None:
    """Set limits once, before any model is loaded."""
    working_set = mx.device_info().get("max_recommended_working_set_size")
    if isinstance(working_set, int):
        mx.set_wired_limit(working_set)
        mx.set_cache_limit(int(working_set * BUFFER_CACHE_SHARE))


def release_buffers() -> None:
    """Drop unreachable arrays and hand MLX's unused buffers back to the system."""
    gc.collect()
    mx.clear_cache()


def clear_buffers() -> None:
    """Hand MLX's unused buffers back to the system; quick enough for every step."""
    mx.clear_cache()


def memory_metrics() -> dict[str, float]:
    """What MLX holds now and at its peak since `reset_peak`, in GB (1e9 bytes)."""
    return {
        "active_memory_gb": mx.get_active_memory() / 1e9,
        "peak_memory_gb": mx.get_peak_memory() / 1e9,
        "cache_memory_gb": mx.get_cache_memory() / 1e9,
    }


def reset_peak() -> None:
    """Start a new measurement of the peak."""
    mx.reset_peak_memory()


def checksum(arrays: list[mx.array]) -> int:
    """A number that changes when any bit of a weight does: the sum of all 16-bit words."""
    words = [mx.sum(array.reshape(-1).view(mx.uint16)) for array in arrays if array.nbytes % 2 == 0]
    mx.eval(*words)
    return sum(as_int(word) * (index + 1) for index, word in enumerate(words))
