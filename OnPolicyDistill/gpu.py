"""What macOS does to a process that computes on the GPU, without MLX: environment and failures.

macOS ends GPU work that keeps the screen from being drawn ("Impacting Interactivity"), which hits
training within minutes where the display is on (mlx issue 3267, which MLX cannot mend). Since 0.32
MLX keeps such a failure and raises it as RuntimeError at the next synchronization; elsewhere it
ends the process by SIGABRT with a line of libc++abi on stderr. Either way the stream, and with it
the process, is finished: what works is another process with shorter command buffers.

The texts are those of MLX 0.32 (backend/metal/device.cpp, backend/metal/allocator.cpp) around the
descriptions that Metal gives. None of this has run on a Mac.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Literal

GpuCause = Literal["gpu_watchdog", "gpu_timeout", "gpu_fault", "gpu_resources", "gpu_buffer"]
FailureCause = GpuCause | Literal["memory"]

# Helps on some chips, not on the M5 Max; read by Apple's driver when it is loaded.
RELAXED_WATCHDOG = "AGX_RELAX_CDM_CTXSTORE_TIMEOUT"
MAX_OPS, MAX_MEGABYTES = "MLX_MAX_OPS_PER_BUFFER", "MLX_MAX_MB_PER_BUFFER"
# Set by a parent that takes a run up again after the GPU ended its work (runs/retrying.py).
WATCHED_VARIABLE = "OPD_GPU_WATCHED"
# MLX's own for a chip without a suffix or a Pro; a Max and an Ultra take 50.
USUAL_LENGTH = 40

SMALLER = (
    "It needs less memory with a smaller batch_size or max_generation_tokens, with "
    "grad_checkpoint on, or with keep_teacher_loaded off."
)
LET_IT_REST = (
    "Let the display sleep while it trains (System Settings, Lock Screen), and close whatever "
    "else draws or computes on the GPU."
)


@dataclass(frozen=True, slots=True)
class GpuFailure:
    """Why the GPU's work ended, in words; `passes` where the same work may succeed later."""

    cause: FailureCause
    message: str
    action: str
    passes: bool = False


# The first that is found counts: Metal refuses all that follows a failure, and says so too.
_FAILURES: tuple[tuple[re.Pattern[str], GpuFailure], ...] = (
    (
        re.compile(r"Impacting Interactivity|ErrorImpactingInteractivity"),
        GpuFailure(
            "gpu_watchdog",
            "macOS ended its work on the GPU, because it kept the screen from being drawn.",
            LET_IT_REST,
            passes=True,
        ),
    ),
    (
        re.compile(r"Insufficient Memory|CallbackErrorOutOfMemory|\[malloc\w*\] Unable to alloc"),
        GpuFailure("memory", "The GPU had no memory left for it.", SMALLER),
    ),
    (
        re.compile(r"\[metal::malloc\] Resource limit"),
        GpuFailure(
            "gpu_resources",
            "It held more separate pieces of the GPU's memory than Metal allows.",
            "Fewer tokens at once need fewer: lower max_generation_tokens, batch_size or "
            "gradient_accumulation_steps.",
        ),
    ),
    (
        re.compile(r"greater than\s+the maximum allowed buffer size"),
        GpuFailure(
            "gpu_buffer",
            "One array of it is larger than this GPU takes in one piece.",
            "Lower batch_size, max_generation_tokens or max_prompt_tokens.",
        ),
    ),
    (
        re.compile(r"GPU Timeout Error|GPU Hang Error|CallbackError(Timeout|Hang)"),
        GpuFailure(
            "gpu_timeout",
            "One piece of its work on the GPU took longer than macOS allows.",
            f"{LET_IT_REST} If it happens again, lower batch_size.",
            passes=True,
        ),
    ),
    (
        re.compile(r"CallbackError(InnocentVictim|SubmissionsIgnored)|victim of GPU error"),
        GpuFailure(
            "gpu_fault",
            "macOS threw its work away while it recovered from another failure of the GPU.",
            LET_IT_REST,
            passes=True,
        ),
    ),
    (
        re.compile(r"\[METAL\] Command buffer execution failed"),
        GpuFailure(
            "gpu_fault",
            "The GPU could not carry out its work.",
            "Resume it; if it happens again, restart the Mac and look for an update of macOS.",
        ),
    ),
)


def find_gpu_failure(text: str) -> GpuFailure | None:
    """Return what a Metal error text, or the output of a process that died, tells; None if nothing.

    An abort's text is looked for in the last lines a process wrote, an exception's in itself.
    """
    return next((failure for pattern, failure in _FAILURES if pattern.search(text)), None)


def relax_watchdog(environment: MutableMapping[str, str], platform: str = sys.platform) -> None:
    """Ask Apple's driver for patience, before it is loaded; what the user has set stays."""
    if platform == "darwin":
        environment.setdefault(RELAXED_WATCHDOG, "1")


def is_watched(environment: Mapping[str, str]) -> bool:
    """Whether the parent of this process takes its run up again after a failure that passes."""
    return WATCHED_VARIABLE in environment


def shorter_buffers(num_times: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that halve MLX's command buffers `num_times`, from what is set now.

    A buffer ends after so many operations or so many megabytes. Short ones let the screen be drawn
    in between, and carry the same operations in the same order.
    """
    if num_times == 0:
        return {}
    return {
        name: str(max(_length(environment.get(name)) >> num_times, 1))
        for name in (MAX_OPS, MAX_MEGABYTES)
    }


def _length(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else USUAL_LENGTH
