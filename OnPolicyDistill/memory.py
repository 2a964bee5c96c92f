"""MLX's memory: what it holds, what it may hold, and giving it back between phases.

`prepare_device` is part of loading a model's weights, so that no command can forget it. Its limits:

- wired (kept resident, macOS 15 on): nothing, unless the weights take more than half of memory;
  then as much as they are. Wiring whole working sets is what kernel panics under load were traced
  to (mlx issue 3186), and smaller models stay resident by themselves;
- memory: what the system can spare, so that MLX waits for its own work before it swaps;
- buffer cache: a share of that. Freed buffers are used again from it; emptying it after every step
  would ask the system for the same memory again and again.
"""

from __future__ import annotations

import gc
from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.arrays import as_int, trim_freed_memory

SYSTEM_BYTES = 8 * 10**9
BUFFER_CACHE_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class DeviceLimits:
    """Bytes that MLX may keep resident, use in all, and keep of what it freed."""

    wired: int
    memory: int
    cache: int


def device_limits(memory_bytes: int, working_set_bytes: int, weights_bytes: int) -> DeviceLimits:
    """Choose limits for weights on a machine.

    The working set is what Metal recommends at most; `iogpu.wired_limit_mb` raises it. 8 GB are
    left to the system, on small machines half of memory.
    """
    spared = max(memory_bytes - SYSTEM_BYTES, memory_bytes // 2)
    usable = min(working_set_bytes, spared)
    needs_wiring = weights_bytes > memory_bytes // 2
    return DeviceLimits(
        wired=min(weights_bytes, usable) if needs_wiring else 0,
        memory=usable,
        cache=int(usable * BUFFER_CACHE_SHARE),
    )


def prepare_device(weights_bytes: int) -> None:
    """Set the limits for weights that are loaded or about to be, all models together.

    Only Metal tells its working set; elsewhere MLX's own limits stay.
    """
    told = mx.device_info()
    memory, working_set = told.get("memory_size"), told.get("max_recommended_working_set_size")
    if not isinstance(memory, int) or not isinstance(working_set, int):
        return
    limits = device_limits(memory, working_set, weights_bytes)
    mx.set_wired_limit(limits.wired)
    mx.set_memory_limit(limits.memory)
    mx.set_cache_limit(limits.cache)


def release_buffers() -> None:
    """Drop unreachable arrays and hand unused buffers, MLX's and glibc's, back to the system."""
    gc.collect()
    mx.clear_cache()
    trim_freed_memory()


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
