"""The demonstration of prompt distillation: a long prompt is learned and then left out.

The embedded thinker reads data/languages/prompt.md before every text and thinks before it answers;
the embedded answerer learns its answers and needs neither. The run is an ordinary one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.config import (
    PromptDistillationConfig,
)
from OnPolicyDistill.demo.preset import UNCHANGED, shipped_preset
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.runs.events import RunFinished
from OnPolicyDistill.runs.log import last_event
from OnPolicyDistill.runs.reporting import Observer, StopRequest
from OnPolicyDistill.trainers.prompt_distillation.train import train

PRESET = "prompt_distillation/demo.yaml"


class VariantNumbers(BaseModel):
    """One way to answer held-out texts: shares of 1, wall-clock seconds and tokens an answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accuracy: float
    macro_f1: float
    parse_rate: float
    seconds_per_answer: float
    tokens_per_answer: float


class PromptDemoResult(BaseModel):
    """Four ways to answer the same texts; `seconds` is the wall clock of all of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    seconds: float
    teacher_with_prompt: VariantNumbers
    student_with_prompt: VariantNumbers
    student_before: VariantNumbers
    student_after: VariantNumbers

    @property
    def speed_up(self) -> float:
        """Seconds of the teacher's answer over those of the student that has learned."""
        return self.teacher_with_prompt.seconds_per_answer / self.student_after.seconds_per_answer


def run_prompt_demo(
    workspace: Path,
    observer: Observer | None = None,
    stop: StopRequest | None = None,
    changes: Mapping[str, object] = UNCHANGED,
) -> PromptDemoResult:
    """Distil the shipped prompt into the embedded answerer and measure what came of it.

    `changes` replace settings of the preset's block, for a shorter run.

    Raises:
        DistillError: the run failed; its log says why.
    """
    started = time.perf_counter()
    run = create_run(workspace, prompt_demo_config(changes))
    train(run, observer, stop)
    event = last_event(run.events_file)
    if not isinstance(event, RunFinished):
        raise RunError(f"Run {run.run_id} did not finish.", "Start the demonstration again.")
    return PromptDemoResult(
        run_id=run.run_id,
        seconds=time.perf_counter() - started,
        teacher_with_prompt=_numbers(event.report, "teacher_with_prompt"),
        student_with_prompt=_numbers(event.report, "student_with_prompt"),
        student_before=_numbers(event.report, "student_before"),
        student_after=_numbers(event.report, "student_after"),
    )


def prompt_demo_config(changes: Mapping[str, object] = UNCHANGED) -> PromptDistillationConfig:
    """Return the shipped preset with its files by their place on this machine.

    `changes` replace settings of its block.
    """
    config = shipped_preset(PRESET, changes)
    assert isinstance(config, PromptDistillationConfig)
    return config


def _numbers(report: dict[str, float], variant: str) -> VariantNumbers:
    return VariantNumbers.model_validate(
        {key: report[f"{variant}_{key}"] for key in VariantNumbers.model_fields}
    )
