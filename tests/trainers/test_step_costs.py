"""What a step may not do unseen: compile anew, or ask the device again and again."""

import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import mlx.core as mx
import pytest

from OnPolicyDistill import arrays
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import Event, StepFinished
from OnPolicyDistill.trainers.on_policy import train
from OnPolicyDistill.training import records

WARM_UP = 6
DATA = Path(__file__).parents[2] / "data" / "dates"
# Programs that MLX's CPU build compiles are libraries of their own, named by what they compute.
PROGRAM = re.compile(r"/lib\S*\d{6,}_\w+\.so$")

# What evaluates an array and hands it to Python (arrays.py).
ASKING = {"as_float", "as_int", "float_list", "int_list"}


class Told(Protocol):
    def __call__(self, event: Event) -> None: ...


def taught(workspace: Path, watch: Told, num_steps: int) -> None:
    values = {
        "teacher_model": "tiny-teacher",
        "student_model": "tiny-student",
        "prompts": str(DATA / "train.jsonl"),
        "validation_prompts": str(DATA / "validation.jsonl"),
        "num_steps": num_steps,
        "batch_size": 3,
        "gradient_accumulation_steps": 1,
        "max_generation_tokens": 24,
        "mixed_precision": False,
        "grad_checkpoint": False,
        "eval_every": num_steps,
        "eval_prompts": 2,
        "checkpoint_every": num_steps,
    }
    train(create_run(workspace, parse_config({"distillation": values})), watch)


def programs() -> set[str]:
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").split("\n")
    return {line.split()[-1] for line in maps if PROGRAM.search(line)}


@pytest.mark.skipif(
    sys.platform != "linux" or mx.default_device().type != mx.DeviceType.cpu,
    reason="programs are seen as libraries where MLX compiles for a CPU",
)
def test_rows_of_new_lengths_compile_nothing_after_the_warm_up(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    lengths: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepFinished):
            seen.append(programs())
            lengths.append(event.metrics["num_tokens"])

    taught(tmp_path, watch, num_steps=WARM_UP + 10)
    assert seen[WARM_UP - 1], "no compiled program was found: the pattern no longer fits"
    assert len(set(lengths[WARM_UP:])) > 1, "all steps had one length: nothing was tried"
    assert seen[-1] - seen[WARM_UP - 1] == set()


def test_a_steps_metrics_are_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    added: list[int] = []
    add = records.StepReport.add

    def counting(ask: Callable[[mx.array], object]) -> Callable[[mx.array], object]:
        def counted(values: mx.array) -> object:
            asked["device"] += 1
            return ask(values)

        return counted

    def counted_add(report: records.StepReport, scored: records.Scored) -> None:
        before = asked["device"]
        add(report, scored)
        added.append(asked["device"] - before)

    for name in ASKING & vars(records).keys():
        monkeypatch.setattr(records, name, counting(vars(arrays)[name]))
    monkeypatch.setattr(records.StepReport, "add", counted_add)
    taught(tmp_path, lambda _event: None, num_steps=2)
    assert added == [1, 1]
