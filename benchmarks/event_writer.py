"""A worker that holds a run and reports real events at an even rate without training.

Says `occupied` when the run is its own, begins when it is told to by a line, and ends with one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import (
    EventBase,
    PhaseChanged,
    RolloutSampled,
    RunStarted,
    StepFinished,
)
from OnPolicyDistill.runs.log import EventWriter
from OnPolicyDistill.runs.reporting import describe_machine

METRICS = (
    "loss",
    "divergence",
    "ce_loss",
    "grad_norm",
    "learning_rate",
    "student_entropy",
    "teacher_entropy",
    "agreement",
    "num_tokens",
    "mean_length",
    "truncated_share",
    "sampling_seconds",
    "scoring_seconds",
    "learning_seconds",
    "step_seconds",
    "tokens_per_second",
    "active_memory_gb",
    "peak_memory_gb",
    "process_memory_gb",
    "cache_hit_rate",
)
PROMPT = "When did the ship leave the harbour, and who was on board that night? Answer briefly."


def events(run_id: str) -> Iterator[EventBase]:
    """Yield what a run reports: its start, then phases, steps with metrics, and rollouts."""
    yield RunStarted(
        run_id=run_id,
        method="on_policy",
        num_steps=1_000_000,
        config_hash="x",
        machine=describe_machine(),
    )
    step = 0
    while True:
        step += 1
        yield PhaseChanged(phase="sampling", step=step, detail="Sampling.", done=1, total=8)
        metrics = {key: (number + 1) / (step + 0.7) for number, key in enumerate(METRICS)}
        yield StepFinished(step=step, metrics=metrics)
        for _ in range(2):
            yield RolloutSampled(
                step=step,
                offset=step * 1000,
                prompt=PROMPT,
                completion=PROMPT.upper(),
                num_tokens=40,
                mean_divergence=1 / step,
            )


def write(run: RunDirectory, rate: float, count: int) -> dict[str, float]:
    """Write `count` events, `rate` a second; returns what it took."""
    with run.occupied(), EventWriter(run.events_file) as writer:
        sys.stdout.write("occupied\n")
        sys.stdout.flush()
        sys.stdin.readline()
        begun, cpu_begun, latest = time.monotonic(), time.process_time(), 0.0
        for number, event in enumerate(islice(events(run.run_id), count)):
            due = begun + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            writer.write(event)
            latest = max(latest, time.monotonic() - due)
        seconds = time.monotonic() - begun
        return {
            "seconds": seconds,
            "cpu_ms_per_event": 1000 * (time.process_time() - cpu_begun) / count,
            "latest_ms": 1000 * latest,
        }


def main() -> None:
    """Write as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--rate", type=float, default=20.0, help="events a second")
    parser.add_argument("--count", type=int, default=400)
    given = parser.parse_args()
    print(json.dumps(write(RunDirectory(given.run), given.rate, given.count)))


if __name__ == "__main__":
    main()
