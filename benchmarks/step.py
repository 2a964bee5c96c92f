"""Where an optimizer step's time goes: sampling, scoring, learning, at a small scale.

The shares depend on the sizes: a bigger teacher scores longer, longer completions are sampled
longer. They show what is worth making faster, not what a big Mac will show.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

from benchmarks.pair import Scale, write_pair
from benchmarks.spread import spread
from OnPolicyDistill.runs.events import StepFinished
from OnPolicyDistill.runs.history import STEP_PHASES

FULL = Scale(
    student_size=128,
    teacher_size=256,
    student_layers=2,
    teacher_layers=4,
    vocab_size=4096,
    max_tokens=96,
    num_prompts=32,
    num_steps=9,
)
QUICK = Scale(
    student_size=32,
    teacher_size=64,
    student_layers=1,
    teacher_layers=2,
    vocab_size=512,
    max_tokens=8,
    num_prompts=8,
    num_steps=3,
)


def measure(repeats: int, quick: bool) -> dict[str, object]:
    """Train `repeats` short runs and split their steps by phase; plain JSON values."""
    scale = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        pair = write_pair(Path(folder), scale)
        # The first step of a run compiles its programs.
        runs = [pair.run(seed)[1:] for seed in range(repeats)]
    shares = {
        phase: asdict(spread([share(steps, key) for steps in runs]))
        for phase, key in STEP_PHASES.items()
    }
    return {
        "setting": asdict(scale),
        "repeats": repeats,
        "shares": shares,
        "step_seconds": asdict(spread([mean(steps, "step_seconds") for steps in runs])),
        "tokens_per_second": asdict(spread([mean(steps, "tokens_per_second") for steps in runs])),
    }


def share(steps: tuple[StepFinished, ...], key: str) -> float:
    """A phase's part of the steps' time."""
    return mean(steps, key) / mean(steps, "step_seconds")


def mean(steps: tuple[StepFinished, ...], key: str) -> float:
    """Mean of a metric over steps."""
    return sum(step.metrics[key] for step in steps) / len(steps)
