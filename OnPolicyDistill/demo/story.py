"""The demonstration: a small model becomes measurably like a bigger one, in about two minutes.

The embedded teacher writes dates in ISO form from any wording; the embedded student knows some
wordings only. The run is an ordinary one: same trainer, same folder, same history as any other.
A second, short run on fixed rollouts shows what the teacher cache saves.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.config import (
    OnPolicyConfig,
)
from OnPolicyDistill.demo.preset import UNCHANGED, shipped_preset
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.runs.annotations import Annotations, write_annotations
from OnPolicyDistill.runs.checkpoints import exported
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import RunFinished, SelfTestFinished, StepFinished
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.trainers.on_policy import train

PRESET = "demo.yaml"
CACHE_EPOCHS = 3


class StudentNumbers(BaseModel):
    """The student on held-out prompts: distances in nats a token at temperature 1, shares of 1.

    Intervals are 95 % intervals over the prompts, low and high.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy: float
    accuracy_interval: tuple[float, float]
    reverse_kl: float
    reverse_kl_interval: tuple[float, float]
    agreement: float
    agreement_interval: tuple[float, float]


class TeacherNumbers(BaseModel):
    """The teacher on the same prompts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy: float
    accuracy_interval: tuple[float, float]


class CacheNumbers(BaseModel):
    """The teacher's share of a step's time, before and after its scores are in the cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    cold_teacher_share: float
    warm_teacher_share: float


class DemoResult(BaseModel):
    """Everything the demonstration measured; `seconds` is the wall clock of all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    seconds: float
    train_seconds: float
    student_path: str
    teacher_path: str
    adapter_path: str
    before: StudentNumbers
    after: StudentNumbers
    teacher: TeacherNumbers
    cache: CacheNumbers
    proof_passed: bool


def run_demo(
    workspace: Path,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    changes: Mapping[str, object] = UNCHANGED,
) -> DemoResult:
    """Distil the embedded pair in a workspace and measure what came of it.

    `changes` replace settings of the preset's block, for a shorter run.

    Raises:
        DistillError: the run failed; its log says why.
    """
    started = time.perf_counter()
    config = demo_config(changes)
    run = create_run(workspace, config)
    train(run, observer, stop)
    cache = _measure_cache(workspace, run, stop)
    end = finished(run)
    report, key = end.report, "before_eval_teacher_accuracy"
    adapter = exported(run)
    assert adapter is not None
    settings = config.distillation
    return DemoResult(
        run_id=run.run_id,
        seconds=time.perf_counter() - started,
        train_seconds=report["train_seconds"],
        student_path=str(shipped_folder("data") / "models" / settings.student_model),
        teacher_path=str(shipped_folder("data") / "models" / settings.teacher_model),
        adapter_path=str(adapter.resolve()),
        before=numbers(end, "before"),
        after=numbers(end, "after"),
        teacher=TeacherNumbers(accuracy=report[key], accuracy_interval=end.intervals[key]),
        cache=cache,
        proof_passed=proof_passed(run),
    )


def demo_config(overrides: Mapping[str, object]) -> OnPolicyConfig:
    """Return the shipped demonstration preset, with some settings of the block replaced."""
    config = shipped_preset(PRESET, overrides)
    assert isinstance(config, OnPolicyConfig)
    return config


def put_beside(run: RunDirectory, story: RunDirectory, what: str) -> None:
    """Archive a run that only measures something for a story's own, which stays the latest."""
    note = f"{what} Belongs to {story.run_id}."
    write_annotations(run, Annotations(archived=True, note=note))


def _measure_cache(workspace: Path, story: RunDirectory, stop: StopRequest | None) -> CacheNumbers:
    """Train on one completion a prompt for a few epochs: the teacher is asked in the first only."""
    num_prompts = 64
    prompts = workspace / "demo_cache_prompts.jsonl"
    config = demo_config({})
    source = Path(str(config.distillation.prompts)).read_text(encoding="utf-8")
    prompts.write_text("".join(source.splitlines(keepends=True)[:num_prompts]), encoding="utf-8")
    steps_per_epoch = num_prompts // config.distillation.rows_per_step
    config = demo_config(
        {
            "run_name": "demo: the same prompts from a warm cache",
            "prompts": str(prompts),
            "fixed_rollouts": True,
            "num_steps": CACHE_EPOCHS * steps_per_epoch,
            "eval_every": CACHE_EPOCHS * steps_per_epoch,
            "eval_prompts": 16,
            "warmup_steps": 0,
        }
    )
    run = create_run(workspace, config)
    put_beside(run, story, "Measures what the teacher cache saves.")
    train(run, None, stop)
    shares = {"cold": [0.0, 0.0], "warm": [0.0, 0.0]}
    for event in read_events(run.events_file):
        if isinstance(event, StepFinished):
            share = shares["cold" if event.step <= steps_per_epoch else "warm"]
            share[0] += event.metrics["scoring_seconds"]
            share[1] += event.metrics["step_seconds"]
    return CacheNumbers(
        run_id=run.run_id,
        cold_teacher_share=shares["cold"][0] / shares["cold"][1],
        warm_teacher_share=shares["warm"][0] / shares["warm"][1],
    )


def finished(run: RunDirectory) -> RunFinished:
    """How a run ended.

    Raises:
        RunError: it did not.
    """
    for event in read_events(run.events_file):
        if isinstance(event, RunFinished):
            return event
    raise RunError(f"Run {run.run_id} did not finish.", "Start the demonstration again.")


def proof_passed(run: RunDirectory) -> bool:
    """Whether a run proved that it can learn."""
    events = [e for e in read_events(run.events_file) if isinstance(e, SelfTestFinished)]
    return bool(events) and all(event.passed for event in events)


def numbers(end: RunFinished, moment: str) -> StudentNumbers:
    """The student `before` or `after`, as a run reports it at its end."""
    names = {name: f"{moment}_eval_{name}" for name in ("accuracy", "reverse_kl", "agreement")}
    figures = {name: end.report[key] for name, key in names.items()}
    intervals = {f"{name}_interval": end.intervals[key] for name, key in names.items()}
    return StudentNumbers.model_validate(figures | intervals)
