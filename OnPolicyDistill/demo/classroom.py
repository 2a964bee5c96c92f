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
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from OnPolicyDistill.errors import RunError
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


def _steps_done(run: RunDirectory) -> int:
    event = last_event(run.events_file)
    return event.step if isinstance(event, KNOWS_STEP) else 0


def take_over(run: RunDirectory, folder: Path) -> None:
    """Replace the untrained weights by those of the run's last checkpoint."""
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    shutil.copyfile(checkpoint / "model.safetensors", folder / "model.safetensors")


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
