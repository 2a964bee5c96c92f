"""What settings are worth on the embedded tasks: the same runs over several seeds, kept in a file.

Every arm (settings under a name) is trained with the same seeds, so that arms are compared seed by
seed: prompts, their order and the held-out ones are then the same. Runs are interleaved, and each
is kept as soon as it ended, so that a measurement of half an hour can be broken off and go on.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.demo.preset import shipped_preset
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import Event, RunFinished
from OnPolicyDistill.runs.log import last_event
from OnPolicyDistill.trainers import on_policy, vlm_distillation

TRAINERS = {"on_policy": on_policy.train, "vlm_distillation": vlm_distillation.train}
# 97.5th percentiles of Student's t by degrees of freedom; beyond them the normal one is near.
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
Z_975 = 1.96


@dataclass(frozen=True, slots=True)
class Task:
    """An embedded task: a shipped demonstration's preset, and what is changed for every arm."""

    name: str
    preset: str
    changes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arm:
    """Settings that are compared with other settings, under a name."""

    name: str
    changes: Mapping[str, object]


class Learned(BaseModel):
    """What came of one run: shares of right answers, nats, and what its steps took.

    `seconds` are wall clock and `cpu_seconds` processor time from the end of the first evaluation
    to the end of the last step. `num_tokens` were learned from; the student's whole held-out
    completions have `completion_tokens` on average.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    arm: str
    seed: int
    accuracy_before: float
    accuracy: float
    reverse_kl_before: float
    reverse_kl: float
    seconds: float
    cpu_seconds: float
    num_tokens: float
    completion_tokens: float

    @property
    def accuracy_per_second(self) -> float:
        """Share of right answers gained per second of training."""
        return (self.accuracy - self.accuracy_before) / self.seconds

    @property
    def accuracy_per_cpu_second(self) -> float:
        """The same of processor time, which a busy machine disturbs less."""
        return (self.accuracy - self.accuracy_before) / self.cpu_seconds


class Paired(BaseModel):
    """The mean of an arm's differences to another, seed by seed, with its 95 % interval (t)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mean: float
    low: float
    high: float


class Stopwatch:
    """An observer that times the steps, which no evaluation interrupts."""

    def __init__(self) -> None:
        self._started = (0.0, 0.0)
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    def __call__(self, event: Event) -> None:
        """Note when the steps begin and end."""
        now = time.perf_counter(), time.process_time()
        if event.kind == "evaluation_finished" and event.step == 0:
            self._started = now
        elif event.kind == "step_finished":
            self.seconds, self.cpu_seconds = (
                later - start for later, start in zip(now, self._started, strict=True)
            )


def learn(task: Task, arm: Arm, seed: int) -> Learned:
    """Train one arm of a task with a seed, in a folder that is gone afterwards."""
    config = shipped_preset(f"{task.preset}.yaml", {**task.changes, **arm.changes, "seed": seed})
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        run = create_run(Path(folder), config)
        TRAINERS[config.method](run, watch)
        end = last_event(run.events_file)
    assert isinstance(end, RunFinished)
    report = end.report
    return Learned(
        task=task.name,
        arm=arm.name,
        seed=seed,
        accuracy_before=report["before_eval_accuracy"],
        accuracy=report["after_eval_accuracy"],
        reverse_kl_before=report["before_eval_reverse_kl"],
        reverse_kl=report["after_eval_reverse_kl"],
        seconds=watch.seconds,
        cpu_seconds=watch.cpu_seconds,
        num_tokens=report["trained_tokens"],
        completion_tokens=report["after_eval_completion_tokens"],
    )


def learn_all(
    tasks: Iterable[Task],
    arms: Sequence[Arm],
    seeds: int,
    kept: Path | None = None,
    one: Callable[[Task, Arm, int], Learned] = learn,
) -> list[Learned]:
    """Train every arm of every task with every seed, arm after arm within a seed.

    Runs that `kept` has already (a line of JSON each) are not trained again; new ones are added.
    """
    known = {} if kept is None else {_key(found): found for found in read_kept(kept)}
    for task in tasks:
        for seed in range(1, seeds + 1):
            for arm in arms:
                key = (task.name, arm.name, seed)
                if key in known:
                    continue
                known[key] = one(task, arm, seed)
                if kept is not None:
                    with kept.open("a", encoding="utf-8") as stream:
                        stream.write(known[key].model_dump_json() + "\n")
    return list(known.values())


def read_kept(file: Path) -> list[Learned]:
    """The runs of a file; none where there is no file."""
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [Learned.model_validate(json.loads(line)) for line in lines]


def _key(found: Learned) -> tuple[str, str, int]:
    return found.task, found.arm, found.seed


def of_arm(runs: Iterable[Learned], task: str, arm: str) -> list[Learned]:
    """An arm's runs of a task, by seed."""
    chosen = [run for run in runs if (run.task, run.arm) == (task, arm)]
    return sorted(chosen, key=lambda run: run.seed)


def paired(
    ours: Sequence[Learned], theirs: Sequence[Learned], value: Callable[[Learned], float]
) -> Paired:
    """The mean difference of a value, ours minus theirs, over the seeds that both have.

    The interval is Student's over seeds: what another seed would have given. Raises ValueError
    for fewer than two seeds in common.
    """
    other = {run.seed: value(run) for run in theirs}
    differences = [value(run) - other[run.seed] for run in ours if run.seed in other]
    if len(differences) < 2:
        raise ValueError("a paired interval needs two seeds at least")
    mean = statistics.fmean(differences)
    degrees = len(differences) - 1
    quantile = T_975[degrees - 1] if degrees <= len(T_975) else Z_975
    reach = quantile * statistics.stdev(differences) / len(differences) ** 0.5
    return Paired(mean=mean, low=mean - reach, high=mean + reach)
