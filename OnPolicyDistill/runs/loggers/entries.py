"""What a logger is told, a JSON object a line: first what run it is, then metrics by step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, JsonValue

from OnPolicyDistill.runs.events import EvaluationFinished, StepFinished
from OnPolicyDistill.runs.metrics import METRICS

LoggerName = Literal["tensorboard", "wandb", "trackio"]


class Opening(BaseModel):
    """The run, and where it is told: `step` is the last one that counts, 0 at the start."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    folder: str  # where a logger may keep files
    project: str
    mode: str | None = None  # wandb: offline or online
    entity: str | None = None
    space: str | None = None
    step: int = 0
    config: dict[str, JsonValue] = {}


class Entry(BaseModel):
    """Metrics of a step, each under its group: `learning/loss`; `time` in Unix seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    time: float
    values: dict[str, float]


class Logger(Protocol):
    """What every one of those programs can be asked to do."""

    def log(self, values: Mapping[str, float], step: int, time: float) -> None:
        """Take in metrics of a step; `time` in Unix seconds."""

    def close(self) -> None:
        """Write out what is left."""


def entry_of(event: StepFinished | EvaluationFinished) -> Entry:
    """What is told of an event; evaluations stand at the step that they follow."""
    values = {
        f"{METRICS[key].group}/{key}": value
        for key, value in event.metrics.items()
        if key in METRICS
    }
    return Entry(step=event.step, time=event.time, values=values)
