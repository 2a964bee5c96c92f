"""The index of runs at scale: how long the first one takes, and each question to it.

    python -m benchmarks.history [--runs 10000]

It makes run folders, indexes them from nothing, and asks what the screen asks. It ends with 1 where
the first index takes longer than FIRST_INDEX_SECONDS, or any question longer than QUERY_SECONDS.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from backend.history.index import RunIndex
from backend.history.query import RunQuery, find_runs, list_keys
from backend.history.runlog import KEPT_FOLDER, RunLogs
from OnPolicyDistill.config import dump_config, parse_config

FIRST_INDEX_SECONDS = 60.0
QUERY_SECONDS = 0.1
STEPS = 40
REPEATS = 5

QUESTIONS: dict[str, RunQuery] = {
    "newest": RunQuery(),
    "last page": RunQuery(offset=9_900),
    "words": RunQuery(search="rank 7b"),
    "no such word": RunQuery(search="zebra"),
    "state": RunQuery(states=("interrupted",)),
    "setting below": RunQuery(filters=("distillation.learning_rate<0.0005",)),
    "setting below, few": RunQuery(filters=("distillation.learning_rate<0.00002",)),
    "setting is": RunQuery(filters=("distillation.lora.rank=16",)),
    "setting is not": RunQuery(filters=("distillation.lora.rank!=16",)),
    "setting has": RunQuery(filters=("student~7b",)),
    "metric below": RunQuery(filters=("eval_reverse_kl<0.5",)),
    "three filters": RunQuery(
        filters=("distillation.lora.rank>=8", "eval_reverse_kl<0.9", "loss.minimum>0.01")
    ),
    "by metric": RunQuery(sort="eval_reverse_kl"),
    "by setting, falling": RunQuery(sort="-distillation.learning_rate"),
    "by name": RunQuery(sort="name"),
    "filtered, by metric, columns": RunQuery(
        filters=("distillation.learning_rate<0.0005",),
        sort="-loss",
        columns=("loss", "distillation.lora.rank", "eval_reverse_kl"),
        limit=200,
    ),
}


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one question: the least of some repeats, of which others took a part."""

    name: str
    seconds: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether it was answered in time."""
        return self.seconds <= self.limit


def measure(num_runs: int, workspace: Path) -> list[Timing]:
    """Make runs in a workspace, index them, and ask all questions."""
    write_runs(workspace, num_runs)
    index = RunIndex(workspace, RunLogs(workspace / KEPT_FOLDER))
    try:
        began, worked = time.perf_counter(), time.process_time()
        assert index.rebuild() == num_runs
        first = Timing("first index", time.perf_counter() - began, FIRST_INDEX_SECONDS)
        # Beside it, since the clock of a busy machine counts what others do.
        its_own = Timing(
            "first index, processor", time.process_time() - worked, FIRST_INDEX_SECONDS
        )
        asked = [
            Timing(name, _least(partial(find_runs, index, query)), QUERY_SECONDS)
            for name, query in QUESTIONS.items()
        ]
        keys = Timing("keys", _least(lambda: list_keys(index)), QUERY_SECONDS)
        look = Timing("a look without news", _least(index.reconcile), 10 * QUERY_SECONDS)
    finally:
        index.engine.dispose()
    return [first, its_own, *asked, keys, look]


def _least(question: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        question()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def write_runs(workspace: Path, num_runs: int) -> None:
    """Write run folders with settings and a log, without waiting for the disk at each."""
    choice = random.Random(0)
    for number in range(num_runs):
        folder = workspace / "runs" / f"distill_20260101_{number:06d}_{number % 65536:04x}"
        (folder / "checkpoints").mkdir(parents=True)
        settings = {
            "run_name": f"run {number}",
            "learning_rate": 10 ** choice.uniform(-5, -3),
            "lora": {"rank": choice.choice((4, 8, 16, 32))},
        }
        (folder / "config.yaml").write_text(dump_config(parse_config({"distillation": settings})))
        (folder / "events.jsonl").write_text("".join(_log(folder.name, choice)))


def _log(run_id: str, choice: random.Random) -> list[str]:
    machine = dict.fromkeys(("platform", "processor", "python", "mlx", "mlx_lm"), "x")
    head = {"method": "on_policy", "num_steps": STEPS, "config_hash": "x"}
    events: list[dict[str, object]] = [
        {"kind": "run_started", "run_id": run_id, **head, "machine": {**machine, "memory_gb": 1}}
    ]
    metrics = ("loss", "divergence", "grad_norm", "learning_rate", "num_tokens", "step_seconds")
    for step in range(1, STEPS + 1):
        values = {key: choice.random() for key in metrics}
        events.append({"kind": "step_finished", "step": step, "metrics": values})
    means = {"eval_reverse_kl": choice.random(), "eval_agreement": choice.random()}
    events.append({"kind": "evaluation_finished", "step": STEPS, "metrics": means})
    return [
        json.dumps({"seq": seq, "time": 1.7e9 + seq, **event}) + "\n"
        for seq, event in enumerate(events)
    ]


def main() -> int:
    """Print what was measured; 1 where a limit was passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    num_runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        timings = measure(num_runs, Path(folder))
    print(f"{num_runs:,} runs")
    for timing in timings:
        verdict = "" if timing.holds else "  TOO SLOW"
        print(f"  {timing.name:32} {timing.seconds:9.4f} s of {timing.limit:g}{verdict}")
    return 0 if all(timing.holds for timing in timings) else 1


if __name__ == "__main__":
    sys.exit(main())
