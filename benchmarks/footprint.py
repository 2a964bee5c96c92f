"""Whether memory grows: 500 steps of the embedded pair on prompts and completions of every length.

A process of its own trains as any run does, and its memory is read after every step: what Activity
Monitor shows on a Mac, the resident set elsewhere. Growth is how much the last tenth of the steps
(median) holds beyond the steps around the 50th, as a share of it.

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
from collections.abc import Sequence
from dataclasses import asdict
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


def measure(repeats: int, quick: bool) -> dict[str, object]:
    """Train once or, in full, `repeats` times at most twice; plain JSON values."""
    num_steps = QUICK_STEPS if quick else FULL_STEPS
    memories = [_trained_elsewhere(num_steps) for _ in range(1 if quick else min(repeats, 2))]
    return {
        "num_steps": num_steps,
        "settled_gb": asdict(spread([settled(memory) for memory in memories])),
        "growth": asdict(spread([growth(memory) for memory in memories])),
    }


def growth(memory: Sequence[float]) -> float:
    """The share by which the last tenth of the steps exceeds those around the 50th."""
    last = memory[-max(len(memory) // 10, WINDOW) :]
    return statistics.median(last) / settled(memory) - 1


def settled(memory: Sequence[float]) -> float:
    """What the steps around the 50th hold."""
    return statistics.median(memory[SETTLED - WINDOW : SETTLED + WINDOW])


def _trained_elsewhere(num_steps: int) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.footprint", str(num_steps)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    memory: list[float] = json.loads(done.stdout)
    return memory


def trained(workspace: Path, num_steps: int) -> list[float]:
    """Train in this process; returns its memory in GB after every step."""
    dice = random.Random(0)
    dates = [str(prompt.messages[-1]["content"]) for prompt in load_prompts(DATES).prompts]
    texts = ["; ".join(dice.sample(dates, dice.randint(1, MOST_DATES))) for _ in range(NUM_PROMPTS)]
    for name, chosen in (("train", texts), ("validation", dates[:1])):
        lines = [json.dumps({"prompt": text}) + "\n" for text in chosen]
        (workspace / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    memory: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepFinished):
            memory.append(process_memory_gb())

    train(
        create_run(workspace, parse_config({"distillation": _settings(workspace, num_steps)})),
        watch,
    )
    return memory


def _settings(workspace: Path, num_steps: int) -> dict[str, object]:
    return {
        "teacher_model": "tiny-teacher",
        "student_model": "tiny-student",
        "prompts": str(workspace / "train.jsonl"),
        "validation_prompts": str(workspace / "validation.jsonl"),
        "num_steps": num_steps,
        "batch_size": 4,
        "gradient_accumulation_steps": 1,
        "max_generation_tokens": 48,
        "mixed_precision": False,
        "grad_checkpoint": False,
        "eval_every": num_steps,
        "eval_prompts": 1,
        "checkpoint_every": num_steps,
    }


def main() -> None:
    """Train in this process; everything but the answer goes to standard error."""
    answers = os.dup(1)
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        memory = trained(Path(folder), int(sys.argv[1]))
    os.write(answers, json.dumps(memory).encode())


if __name__ == "__main__":
    main()
