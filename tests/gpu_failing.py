"""A worker that trains on a GPU that macOS ends: `python gpu_failing.py train --run RUN_ID ...`.

OPD_TEST_GPU=exception:7 lets a run's first process fail at a random one of MLX's synchronizations,
drawn with the seed 7: `exception` as MLX raises it since 0.32, which poisons whatever comes after,
`abort` as before.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar

import mlx.core as mx

from OnPolicyDistill import arrays
from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory

P = ParamSpec("P")
T = TypeVar("T")
FAILED = (
    "[METAL] Command buffer execution failed: Impacting Interactivity "
    "(0000000e:kIOGPUCommandBufferCallbackErrorImpactingInteractivity)."
)
IGNORED = (
    "[METAL] Command buffer execution failed: Ignored (for causing prior/excessive GPU errors) "
    "(00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)."
)
# What a tiny run of six steps takes: 122 until it is proved, 563 in all.
SYNCHRONIZATIONS = 500


class FailingGpu:
    """Counts synchronizations, fails at one of them, and never works again."""

    def __init__(self, how: str, fails_at: int) -> None:
        self._how = how
        self._left = fails_at

    def synchronizing(self, function: Callable[P, T]) -> Callable[P, T]:
        def synchronized(*args: P.args, **kwargs: P.kwargs) -> T:
            self._left -= 1
            if self._left <= 0:
                self._fail()
            return function(*args, **kwargs)

        return synchronized

    def _fail(self) -> NoReturn:
        if self._how == "abort":
            sys.stderr.write(f"libc++abi: terminating due to uncaught exception: {FAILED}\n")
            sys.stderr.flush()
            os.abort()
        raise RuntimeError(FAILED if self._left == 0 else IGNORED)


def break_gpu(how: str, seed: str) -> None:
    """Let this process fail from a random synchronization on."""
    gpu = FailingGpu(how, random.Random(seed).randint(1, SYNCHRONIZATIONS))
    mx.eval = gpu.synchronizing(mx.eval)
    mx.async_eval = gpu.synchronizing(mx.async_eval)
    for name in ("as_float", "as_int", "float_list", "int_list"):
        setattr(arrays, name, gpu.synchronizing(getattr(arrays, name)))


def work(arguments: list[str]) -> int:
    """Do what `opd train --run` and `opd resume` do, without their report."""
    run_id = arguments[2] if arguments[0] == "train" else arguments[1]
    run = RunDirectory(Path(arguments[arguments.index("--workspace") + 1]) / "runs" / run_id)
    if arguments[0] == "train" and "OPD_TEST_GPU" in os.environ:
        break_gpu(*os.environ["OPD_TEST_GPU"].split(":"))
    from OnPolicyDistill.trainers.on_policy import train  # noqa: PLC0415  (binds what is broken)

    try:
        train(run, checkpoint=last_checkpoint(run))
    except DistillError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(work(sys.argv[1:]))
