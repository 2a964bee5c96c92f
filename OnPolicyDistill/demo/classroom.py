"""Processes that school embedded models, side by side and with their arithmetic pinned.

One thread, one set of BLAS kernels, nothing compiled at run time: the same versions then give the
same bytes on Linux machines with AVX2. Macs compute on the GPU and give other bytes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import mlx.core as mx

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.models.embedded import write_json
from OnPolicyDistill.models.saving import save_tensors
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import (
    CheckpointSaved,
    EvaluationFinished,
    PhaseChanged,
    RunFinished,
    StepFinished,
)
from OnPolicyDistill.runs.log import last_event

Progress = Callable[[str, int, int], None]

PINNED = {
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "MLX_DISABLE_COMPILE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
POLL_SECONDS = 0.5
WEIGHTS = "model.safetensors"
KNOWS_STEP = CheckpointSaved | EvaluationFinished | PhaseChanged | RunFinished | StepFinished


def school(runs: Sequence[RunDirectory], total: int, progress: Progress) -> None:
    """Train side by side, one process a run, and follow their logs until all have ended.

    `total` is the number of steps of all runs together.

    Raises:
        RunError: a process failed; the message has its last words.
    """
    command = [sys.executable, "-m", "OnPolicyDistill.demo.schooling"]
    logs = [run.log_file.open("wb") for run in runs]
    processes = [
        subprocess.Popen([*command, str(run.path)], env=os.environ | PINNED, stdout=log, stderr=log)
        for run, log in zip(runs, logs, strict=True)
    ]
    try:
        while any(process.poll() is None for process in processes):
            progress("training the embedded models", sum(map(_steps_done, runs)), total)
            time.sleep(POLL_SECONDS)
    finally:
        for process, log in zip(processes, logs, strict=True):
            process.terminate()
            process.wait()
            log.close()
    for process, run in zip(processes, runs, strict=True):
        if process.returncode != 0:
            words = run.log_file.read_text(encoding="utf-8", errors="replace")[-1000:]
            raise RunError(f"Training an embedded model failed: {words}", "Run opd doctor.")
    progress("training the embedded models", total, total)


class Plan(Protocol):
    """How one embedded model is made."""

    @property
    def name(self) -> str:
        """What its folder is called."""

    @property
    def num_steps(self) -> int:
        """Steps of its schooling."""


P = TypeVar("P", bound=Plan)


def make_models(
    target: Path, plans: Sequence[P], enrol: Callable[[Path, P], RunDirectory], progress: Progress
) -> None:
    """School models side by side, store them in 16 bits, and put them under a data folder.

    `enrol` writes an untrained model to `models/NAME` of a scratch folder and returns the run that
    teaches it. What stands in the target is replaced once everything new is ready.

    Raises:
        RunError: a training process failed; the message has its last words.
    """
    with tempfile.TemporaryDirectory(prefix="embedded-") as scratch_name:
        scratch = Path(scratch_name)
        runs = [enrol(scratch, plan) for plan in plans]
        school(runs, sum(plan.num_steps for plan in plans), progress)
        for plan, run in zip(plans, runs, strict=True):
            folder = scratch / "models" / plan.name
            take_over(run, folder)
            store_in_16_bits(folder)
            for file in sorted(folder.iterdir()):
                replace_file(file, target / "models" / plan.name / file.name)


def store_in_16_bits(folder: Path) -> None:
    """Round a folder's weights to bfloat16 and say so in its config."""
    loaded = mx.load(str(folder / WEIGHTS))
    assert isinstance(loaded, dict)
    save_tensors(folder, {name: array.astype(mx.bfloat16) for name, array in loaded.items()})
    write_json(
        folder / "config.json", read_json(folder / "config.json") | {"torch_dtype": "bfloat16"}
    )


def _steps_done(run: RunDirectory) -> int:
    event = last_event(run.events_file)
    return event.step if isinstance(event, KNOWS_STEP) else 0


def take_over(run: RunDirectory, folder: Path) -> None:
    """Replace the untrained weights by those of the run's last checkpoint."""
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    shutil.copyfile(checkpoint / WEIGHTS, folder / WEIGHTS)


def write_lines(file: Path, values: Iterable[Mapping[str, object]]) -> None:
    """Write objects as JSONL."""
    text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    file.write_text(text, encoding="utf-8")


def replace_file(source: Path, target: Path) -> None:
    """Put a copy of a file in another's place, at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.new")
    shutil.copyfile(source, temporary)
    temporary.replace(target)
