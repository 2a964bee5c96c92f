"""Whether memory grows: 500 steps of the embedded pair on prompts and completions of every length.

A process of its own trains as any run does, and its memory is read after every step: what Activity
Monitor shows on a Mac, the resident set elsewhere. Growth is how much the last tenth of the steps
holds beyond the steps around the 50th, as a share of it; its range is over those last steps.

A process holds on to what its largest step took. Completions are cut where many of them end, so
that steps of the largest shape come early and what is added later is no mere larger step;
`peak_growth` says whether one came nevertheless: the largest step's peak in MLX after the 50th, of
the largest up to it, less 1.

python -m benchmarks.footprint STEPS: one such process; prints GB step by step.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)
from benchmarks.spread import spread
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import Event, StepFinished
from OnPolicyDistill.runs.reporting import process_memory_gb
from OnPolicyDistill.trainers.on_policy import train

DATES = Path(__file__).parents[1] / "data" / "dates" / "train.jsonl"
FULL_STEPS, QUICK_STEPS = 500, 60
SETTLED, WINDOW = 50, 5
MOST_DATES = 10
NUM_PROMPTS = 400
# Evaluations and checkpoints fall between the steps, as in any run.
NUM_CHECKPOINTS, NUM_HELD_OUT = 10, 8
# A date takes 17 tokens. With 48 a row that ran on to the limit came once in 200 steps, at the
# 182nd: the largest step so far, and 6 MB that look like growth.
MAX_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Step:
    """GB behind a step: of the process, and the most that MLX held meanwhile."""

    process: float
    peak: float


def measure(repeats: int, quick: bool) -> dict[str, object]:
    """Train once, whatever `repeats` says: a leak needs no second run; plain JSON values."""
    num_steps = QUICK_STEPS if quick else FULL_STEPS
    begun = time.perf_counter()
    steps = _trained_elsewhere(num_steps)
    memory, peaks = [step.process for step in steps], [step.peak for step in steps]
    return {
        "num_steps": num_steps,
        "wall_seconds": time.perf_counter() - begun,
        "settled_gb": settled(memory),
        "growth": asdict(spread(growths(memory))),
        "peak_growth": max(peaks[SETTLED:]) / max(peaks[:SETTLED]) - 1,
    }


def growths(memory: Sequence[float]) -> list[float]:
    """By which share each of the last tenth of the steps exceeds those around the 50th."""
    last = memory[-max(len(memory) // 10, WINDOW) :]
    return [held / settled(memory) - 1 for held in last]


def settled(memory: Sequence[float]) -> float:
    """What the steps around the 50th hold."""
    return statistics.median(memory[SETTLED - WINDOW : SETTLED + WINDOW])


def _trained_elsewhere(num_steps: int) -> list[Step]:
    command = [sys.executable, "-m", "benchmarks.footprint", str(num_steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return [Step(process, peak) for process, peak in json.loads(done.stdout)]


def trained(workspace: Path, num_steps: int) -> list[Step]:
    """Train in this process; returns its memory behind every step."""
    dice = random.Random(0)
    dates = [str(prompt.messages[-1]["content"]) for prompt in load_prompts(DATES).prompts]
    texts = ["; ".join(dice.sample(dates, dice.randint(1, MOST_DATES))) for _ in range(NUM_PROMPTS)]
    for name, chosen in (("train", texts), ("validation", dates[:NUM_HELD_OUT])):
        lines = [json.dumps({"prompt": text}) + "\n" for text in chosen]
        (workspace / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    steps: list[Step] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepFinished):
            steps.append(Step(process_memory_gb(), event.metrics["peak_memory_gb"]))

    train(
        create_run(workspace, parse_config({"distillation": _settings(workspace, num_steps)})),
        watch,
    )
    return steps


def _settings(workspace: Path, num_steps: int) -> dict[str, object]:
    between = max(num_steps // NUM_CHECKPOINTS, 1)
    return {
        "teacher_model": "tiny-teacher",
        "student_model": "tiny-student",
        "prompts": str(workspace / "train.jsonl"),
        "validation_prompts": str(workspace / "validation.jsonl"),
        "num_steps": num_steps,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "max_generation_tokens": MAX_TOKENS,
        "mixed_precision": False,
        "grad_checkpoint": False,
        "eval_every": between,
        "eval_prompts": NUM_HELD_OUT,
        "checkpoint_every": between,
    }


def main() -> None:
    """Train in this process; everything but the answer goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        steps = trained(Path(folder), int(sys.argv[1]))
    os.write(answers, json.dumps([(step.process, step.peak) for step in steps]).encode())


if __name__ == "__main__":
    main()
