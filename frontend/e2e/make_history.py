"""Writes finished runs into a workspace: many small ones, and one with very many points."""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import (
    EvaluationFinished,
    EventBase,
    RunFinished,
    RunStarted,
    StepFinished,
)
from OnPolicyDistill.runs.reporting import describe_machine

CONFIG = """method: on_policy
distillation:
  run_name: "{name}"
  teacher_model: tiny-teacher
  student_model: tiny-student
  num_steps: {num_steps}
  learning_rate: {learning_rate}
  seed: {seed}
"""
SMALL_STEPS = 4
START = 1.7e9
MACHINE = describe_machine()


def _events(run_id: str, num_steps: int, dice: random.Random) -> Iterator[EventBase]:
    yield RunStarted(
        run_id=run_id, method="on_policy", num_steps=num_steps, config_hash="x", machine=MACHINE
    )
    level = dice.uniform(1.0, 4.0)
    for step in range(1, num_steps + 1):
        value = level / (1 + step / (num_steps / 8)) + dice.uniform(0, 0.2)
        metrics = {"divergence": value, "loss": value, "grad_norm": value / 3, "entropy": 1.5}
        yield StepFinished(step=step, metrics={**metrics, "num_tokens": 100.0})
    found = {"eval_reverse_kl": level / 8, "eval_agreement": dice.uniform(0.5, 1.0)}
    yield EvaluationFinished(step=num_steps, metrics=found)
    yield RunFinished(step=num_steps, because="completed", report={})


def _write_run(runs: Path, number: int, name: str, num_steps: int) -> None:
    dice = random.Random(number)
    begun = START + 60 * number
    stamp = time.strftime("%Y%m%d_%H%M%S", time.gmtime(begun))
    run = RunDirectory(runs / f"distill_{stamp}_{number:04x}")
    run.checkpoints.mkdir(parents=True)
    rate = 10 ** dice.uniform(-5, -2)
    run.config_file.write_text(
        CONFIG.format(name=name, num_steps=num_steps, learning_rate=f"{rate:.6f}", seed=number)
    )
    with run.events_file.open("wb") as stream:
        for seq, event in enumerate(_events(run.run_id, num_steps, dice)):
            numbered = event.model_copy(update={"seq": seq, "time": begun + seq / 10})
            stream.write(numbered.model_dump_json().encode() + b"\n")


def _main() -> None:
    runs, num_runs, num_points = Path(sys.argv[1]) / "runs", int(sys.argv[2]), int(sys.argv[3])
    for number in range(num_runs):
        _write_run(runs, number, f"nr-{number:05d}", SMALL_STEPS)
    if num_points:
        _write_run(runs, num_runs, "the long one", num_points)


_main()
