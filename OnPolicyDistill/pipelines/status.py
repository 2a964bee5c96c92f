"""How a pipeline stands, for terminal and screen: its stages with states, times and the time left.

Of a stage at work the rest follows from its run's own pace; of one that waits from the plan, which
is corrected by how far the plan was off for finished stages of the same method.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.config import num_steps_of
from OnPolicyDistill.methods import RunKind
from OnPolicyDistill.pipelines.directory import (
    PipelineDirectory,
    PipelineState,
    StageRecord,
    StageState,
)
from OnPolicyDistill.pipelines.stages import Stage, stages_of
from OnPolicyDistill.pipelines.table import TABLE
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import Event, PhaseChanged, step_of
from OnPolicyDistill.runs.forecast import read_forecast
from OnPolicyDistill.runs.log import read_events
from OnPolicyDistill.runs.pace import Pace, route_of, time_left


class Told(BaseModel):
    """A value that is told."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )


class StageStatus(Told):
    """A stage and its run; seconds are active time."""

    name: str
    method: RunKind
    state: StageState
    start: str | None = Field(description="The stage whose adapter it goes on from.")
    variant: str | None = Field(description="The variant that answers, of the comparison's stages.")
    run_id: str | None
    taken_over: bool = Field(description="Its run was finished by an earlier pipeline.")
    step: int
    num_steps: int = Field(description="Steps in all; 0 where the rows decide, not yet known.")
    seconds: float | None = Field(description="Null until it is finished.")
    left_seconds: float | None = Field(description="Null where nobody can tell; 0 when finished.")


class PipelineStatus(Told):
    """A pipeline; `left_seconds` is null where the time of some stage is unknown."""

    pipeline_id: str
    name: str
    state: PipelineState
    created: float = Field(description="Unix seconds.")
    num_finished: int
    stages: tuple[StageStatus, ...]
    seconds: float = Field(description="Active time of the finished stages.")
    left_seconds: float | None
    message: str = Field(description="Why it does not go on by itself.")
    action: str
    has_table: bool
    path: str


def status_of(pipeline: PipelineDirectory) -> PipelineStatus:
    """Read how a pipeline stands.

    Raises:
        ConfigError: its settings were damaged.
        RunError: its state was.
    """
    settings, record = pipeline.settings(), pipeline.record()
    state = pipeline.state(record)
    known = {one.name: one for one in record.stages}
    stages = [(one, known.get(one.name, StageRecord(name=one.name))) for one in stages_of(settings)]
    told = tuple(_stage(pipeline, stage, one, state, stages) for stage, one in stages)
    left = [one.left_seconds for one in told]
    return PipelineStatus(
        pipeline_id=pipeline.pipeline_id,
        name=settings.name,
        state=state,
        created=pipeline.config_file.stat().st_mtime,
        num_finished=sum(one.state == "finished" for one in told),
        stages=told,
        seconds=sum(one.seconds or 0.0 for one in told),
        left_seconds=None if None in left else sum(one for one in left if one is not None),
        message=record.message,
        action=record.action,
        has_table=(pipeline.path / TABLE).is_file(),
        path=str(pipeline.path),
    )


def _stage(
    pipeline: PipelineDirectory,
    stage: Stage,
    known: StageRecord,
    state: PipelineState,
    stages: Sequence[tuple[Stage, StageRecord]],
) -> StageStatus:
    # A runner that was killed could not write that its stage no longer runs.
    shown = "paused" if known.state == "running" and state != "running" else known.state
    step, num_steps, left = 0, num_steps_of(stage.config), _planned(stage, known, stages)
    if known.run_id is not None and known.state != "waiting":
        step, num_steps, own = progress_of(pipeline.run(known.run_id), num_steps)
        left = left if own is None else own
    return StageStatus(
        name=stage.name,
        method=stage.config.method,
        state=shown,
        start=stage.start,
        variant=stage.variant,
        run_id=known.run_id,
        taken_over=known.taken_over,
        step=step,
        num_steps=num_steps,
        seconds=known.seconds if known.state == "finished" else None,
        left_seconds=0.0 if known.state == "finished" else left,
    )


def _planned(
    stage: Stage, known: StageRecord, stages: Sequence[tuple[Stage, StageRecord]]
) -> float | None:
    """The plan's seconds of a stage, times how far the plan was off for others of its method."""
    if known.forecast_seconds is None:
        return None
    ratios = [
        one.seconds / one.forecast_seconds
        for other, one in stages
        if other.config.method == stage.config.method
        and one.seconds is not None
        and one.forecast_seconds
    ]
    return known.forecast_seconds * (statistics.median(ratios) if ratios else 1.0)


def progress_of(run: RunDirectory, num_steps: int) -> tuple[int, int, float | None]:
    """How far a run is: its step, its steps in all, and the seconds left by its own pace."""
    if not run.config_file.is_file():
        return 0, num_steps, None
    pace = Pace()
    last: Event | None = None
    counted: list[PhaseChanged] = []
    for event in read_events(run.events_file):
        phase = event.phase if isinstance(event, PhaseChanged) else ""
        pace.take(event.kind, step_of(event), event.time, phase)
        if isinstance(event, PhaseChanged):
            num_steps = event.num_steps or num_steps
            counted = [*counted[:1], event] if event.total else []
        last = event
    eta = time_left(pace, route_of(run.config(), num_steps), read_forecast(run))
    left = _by_count(counted) if eta is None else eta.seconds
    return step_of(last), num_steps, left


def _by_count(counted: Sequence[PhaseChanged]) -> float | None:
    """The rest of a phase that counts what it has done, such as the answers of an evaluation."""
    if len(counted) < 2:
        return None
    first, last = counted
    done = (last.done or 0) - (first.done or 0)
    if done <= 0 or last.total is None:
        return None
    pace = (last.time - first.time) / done
    since = max(time.time() - last.time, 0.0)
    return max((last.total - (last.done or 0)) * pace - since, 0.0)
