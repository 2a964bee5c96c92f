"""MLX's door: the only place that prepares it and the only place that casts what it returns.

On Linux the CPU wheel of MLX links a reference BLAS that is about a hundred times slower than
OpenBLAS at float32 matrix products. Loading OpenBLAS globally before the first `import mlx.core`
makes the dynamic linker prefer its symbols, so entry points import this module first.

MLX may round float32 products to TF32's ten mantissa bits where the GPU can (M5, some CUDA
devices), which the proof of learning and held-out figures would show. It reads the wish once, at
its first product, so it is refused here, in every process, unless the user's environment asks
for it.

The CPU wheel takes every array from the C library and gives it back at once. glibc maps large ones
anew each time, and the kernel clears every page of them again: told to keep up to a gigabyte, it
copies the keys and values of a long prompt about three times faster (docs/lab-notebook.md).

MLX computes a graph by breadth until 20 arrays wait, and by depth from there on. By depth one
stream's share comes wholly before another's, and the rows that a CPU learns from side by side
(lanes.py) took turns: 0.104 s of a step of the demonstration instead of 0.062. The CPU wheel
is told to go by breadth however many wait.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import MutableMapping
from importlib.metadata import PackageNotFoundError, version
from typing import cast

from OnPolicyDistill.gpu import relax_watchdog

TF32_VARIABLE = "MLX_ENABLE_TF32"
WIDTH_VARIABLE = "MLX_BFS_MAX_WIDTH"
ANY_WIDTH = 1_000_000
CPU_WHEEL = "mlx-cpu"
OPENBLAS_LIBRARY = "libopenblas.so.0"
# Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 2**30


def refuse_tf32(environment: MutableMapping[str, str]) -> bool:
    """Ask MLX for whole float32 products; True where the environment asks for TF32 instead.

    MLX reads the leading number of the text, and none as 0.
    """
    number = re.match(r"\s*[+-]?\d+", environment.setdefault(TF32_VARIABLE, "0"))
    return number is not None and int(number[0]) != 0


def has_cpu_wheel() -> bool:
    """Whether MLX was installed for processors alone, as it is on Linux without CUDA."""
    try:
        version(CPU_WHEEL)
    except PackageNotFoundError:
        return False
    return True


def go_by_breadth(environment: MutableMapping[str, str]) -> bool:
    """Ask MLX's CPU wheel to compute by breadth; False where it is another or asked otherwise."""
    if not has_cpu_wheel():
        return False
    return environment.setdefault(WIDTH_VARIABLE, str(ANY_WIDTH)) == str(ANY_WIDTH)


def prefer_openblas() -> bool:
    """Load OpenBLAS ahead of MLX on Linux; False where it is absent or not needed."""
    if not sys.platform.startswith("linux") or "mlx.core" in sys.modules:
        return False
    try:
        ctypes.CDLL(OPENBLAS_LIBRARY, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def set_blas_threads(num_threads: int) -> int:
    """Let OpenBLAS use so many threads from now on; returns how many before, 0 where it is absent.

    Only while no product is being computed.
    """
    if not openblas_loaded:
        return 0
    library = ctypes.CDLL(OPENBLAS_LIBRARY)
    before: int = library.openblas_get_num_threads()
    library.openblas_set_num_threads(num_threads)
    return before


def keep_freed_memory() -> bool:
    """Let glibc reuse what MLX frees; False where there is no glibc or MLX was imported before."""
    if not sys.platform.startswith("linux") or "mlx.core" in sys.modules:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(option, KEPT_BYTES) == 1 for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD))


def trim_freed_memory() -> bool:
    """Give the system what glibc keeps of freed memory; False where it keeps none for MLX."""
    return freed_memory_kept and bool(ctypes.CDLL(None).malloc_trim(0))


tf32_wanted = refuse_tf32(os.environ)
relax_watchdog(os.environ)
go_by_breadth(os.environ)
openblas_loaded = prefer_openblas()
freed_memory_kept = keep_freed_memory()

import mlx.core as mx  # noqa: E402  (after all of the above, on purpose)


def as_float(value: mx.array) -> float:
    """Evaluate a one-element array as a Python float."""
    return float(cast(float, value.item()))


def as_int(value: mx.array) -> int:
    """Evaluate a one-element array as a Python int."""
    return int(cast(int, value.item()))


def float_list(values: mx.array) -> list[float]:
    """Evaluate a one-dimensional array as Python floats."""
    return cast(list[float], values.tolist())


def int_list(values: mx.array) -> list[int]:
    """Evaluate a one-dimensional array as Python ints."""
    return cast(list[int], values.tolist())


def load_tensors(file: str) -> tuple[dict[str, mx.array], dict[str, str]]:
    """Arrays of a safetensors file and what its header says beside them."""
    return cast("tuple[dict[str, mx.array], dict[str, str]]", mx.load(file, return_metadata=True))
