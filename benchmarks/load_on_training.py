"""What training feels of many websocket readers, in one run whose windows have them in turn.

A window's step (the median one) is compared with those of the windows before and behind it, so
that a machine that slows down bit by bit favours neither. Where the system allows it, training has
a core of its own and backend and readers share the others: on a machine of two cores the readers
would otherwise take what training needs, and that is their cost, not the backend's. CPU time per
step stands beside the wall clock, because other programs on the machine disturb it less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil

from benchmarks.backend_process import BackendProcess, running_backend
from benchmarks.pair import Pair, Scale, write_pair
from benchmarks.processes import (
    Moment,
    complete_share,
    on_cores,
    readers_report,
    reading,
    separate_cores,
)
from benchmarks.spread import spread
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import StepFinished
from OnPolicyDistill.runs.log import last_event, read_events

# A step of about 0.15 s on a quiet core: three events a step are about 20 a second.
MODELS = Scale(
    student_size=128,
    teacher_size=192,
    student_layers=2,
    teacher_layers=3,
    vocab_size=2048,
    max_tokens=32,
    num_prompts=32,
    num_steps=1_000_000,
)
WARM_UP_STEPS = 8


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of training: wall and CPU seconds a step, and the backend's share of a core."""

    step_seconds: float
    step_cpu_seconds: float
    events_per_second: float
    backend_cores: float


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A window with readers, and the ones without before and behind it."""

    before: Window
    crowded: Window
    behind: Window
    complete_share: float

    @property
    def step_ratio(self) -> float:
        """Wall clock of a step with readers, of one without."""
        return 2 * self.crowded.step_seconds / (self.before.step_seconds + self.behind.step_seconds)

    @property
    def cpu_ratio(self) -> float:
        """CPU time of a step with readers, of one without."""
        without = self.before.step_cpu_seconds + self.behind.step_cpu_seconds
        return 2 * self.crowded.step_cpu_seconds / without


@dataclass(frozen=True, slots=True)
class Scene:
    """A backend, and a run that trains under its eyes."""

    backend: BackendProcess
    run: RunDirectory
    trainer: subprocess.Popen[bytes]

    def compare(self, num_readers: int, seconds: float) -> Neighbours:
        """Train on without readers, with them, and without."""
        before = self.window(seconds)
        event = last_event(self.run.events_file)
        last = -1 if event is None else event.seq
        with reading(self.backend, self.run, num_readers, last, None) as readers:
            crowded = self.window(seconds)
            share = complete_share(readers_report(readers))
        return Neighbours(before, crowded, self.window(seconds), share)

    def window(self, seconds: float) -> Window:
        """Look on for a while, from step to step."""
        processes = [psutil.Process(it.pid) for it in (self.trainer, self.backend.process)]
        begun = [Moment.of(process) for process in processes]
        time.sleep(seconds)
        ended = [Moment.of(process) for process in processes]
        training, serving = (a.cores_until(b) for a, b in zip(begun, ended, strict=True))
        events = [
            event
            for event in read_events(self.run.events_file)
            if begun[0].wall <= event.time <= ended[0].wall
        ]
        steps = [event.time for event in events if isinstance(event, StepFinished)]
        if len(steps) < 2:
            raise RuntimeError(f"Training took fewer than two steps in {seconds:.1f} s.")
        step_seconds = median(later - earlier for earlier, later in pairwise(steps))
        rate = len(events) / (ended[0].wall - begun[0].wall)
        return Window(step_seconds, training * step_seconds, rate, serving)


def measure_training(
    workspace: Path, num_readers: int, seconds: float, repeats: int
) -> dict[str, object]:
    """Compare neighbouring windows of `seconds` each, `repeats` times; plain JSON values."""
    workspace.mkdir()
    training_core, other_cores = separate_cores()
    run = _create_training(write_pair(workspace, MODELS))
    with (
        on_cores(other_cores),
        running_backend(workspace) as backend,
        _training(run, training_core) as trainer,
    ):
        _wait_for_steps(run, trainer, WARM_UP_STEPS)
        scene = Scene(backend, run, trainer)
        found = [scene.compare(num_readers, seconds) for _ in range(repeats)]
    return {
        "own_core": bool(training_core),
        "step_ratio": asdict(spread([it.step_ratio for it in found])),
        "step_cpu_ratio": asdict(spread([it.cpu_ratio for it in found])),
        "step_seconds": asdict(spread([it.before.step_seconds for it in found])),
        "events_per_second": asdict(spread([it.crowded.events_per_second for it in found])),
        "backend_cores": asdict(spread([it.crowded.backend_cores for it in found])),
        "backend_cores_alone": asdict(spread([it.before.backend_cores for it in found])),
        "complete_share": min(it.complete_share for it in found),
    }


def _create_training(pair: Pair) -> RunDirectory:
    values: dict[str, object] = {
        "teacher_model": str(pair.root / "teacher"),
        "student_model": str(pair.root / "student"),
        "prompts": str(pair.root / "prompts.jsonl"),
        "validation_prompts": str(pair.root / "validation.jsonl"),
        "num_steps": pair.scale.num_steps,
        "gradient_accumulation_steps": 1,
        "max_generation_tokens": pair.scale.max_tokens,
        "eval_every": pair.scale.num_steps,
        "eval_prompts": 1,
        "checkpoint_every": pair.scale.num_steps,
    }
    return create_run(pair.root, parse_config({"distillation": values}))


@contextmanager
def _training(run: RunDirectory, cores: frozenset[int]) -> Iterator[subprocess.Popen[bytes]]:
    """Work on the run as from a terminal, with one thread for matrices."""
    command = [sys.executable, "-m", "OnPolicyDistill", "train", "--run", run.run_id]
    with run.log_file.open("ab") as output, on_cores(cores):
        trainer = subprocess.Popen(
            [*command, "--workspace", str(run.path.parent.parent)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
    try:
        yield trainer
    finally:
        trainer.kill()
        trainer.wait()


def _wait_for_steps(run: RunDirectory, trainer: subprocess.Popen[bytes], num_steps: int) -> None:
    """Wait until loading and compiling are over."""
    while num_steps > sum(event.kind == "step_finished" for event in read_events(run.events_file)):
        if trainer.poll() is not None:
            said = run.log_file.read_text(encoding="utf-8")[-2000:]
            raise RuntimeError(f"Training ended with {trainer.returncode}: {said}")
        time.sleep(0.1)
