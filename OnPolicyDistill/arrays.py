"""MLX's door: the only place that prepares it and the only place that casts what it returns.

On Linux the CPU wheel of MLX links a reference BLAS that is about a hundred times slower than
OpenBLAS at float32 matrix products. Loading OpenBLAS globally before the first `import mlx.core`
makes the dynamic linker prefer its symbols, so entry points import this module first.
"""

from __future__ import annotations

import ctypes
import sys
from typing import cast

OPENBLAS_LIBRARY = "libopenblas.so.0"


def prefer_openblas() -> bool:
    """Load OpenBLAS ahead of MLX on Linux; False where it is absent or not needed."""
    if not sys.platform.startswith("linux") or "mlx.core" in sys.modules:
        return False
    try:
        ctypes.CDLL(OPENBLAS_LIBRARY, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


openblas_loaded = prefer_openblas()

import mlx.core as mx  # noqa: E402  (after OpenBLAS, on purpose)


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
