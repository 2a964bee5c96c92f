"""How a run looks from outside: its entry in lists and its own page."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.config import RunConfig
from OnPolicyDistill.evaluation.labelled_report import Interval
from OnPolicyDistill.methods import KindFacts, RunKind
from OnPolicyDistill.runs.annotations import Annotations
from OnPolicyDistill.runs.events import Check, DataFile, Machine
from OnPolicyDistill.runs.pace import EtaSource
from OnPolicyDistill.runs.postmortem import PostMortem

# `queued`, `starting` and `stopping` are the supervisor's; the others follow from the folder.
ShownState = Literal[
    "created",
    "queued",
    "starting",
    "running",
    "stopping",
    "paused",
    "finished",
    "failed",
    "interrupted",
]
Value = str | float | bool | None


class View(BaseModel):
    """Frozen, strict, and all fields present in what is sent."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_serialization_defaults_required=True
    )


class MetricSummary(View):
    """A metric over the steps that count; held-out means have 95 % intervals over prompts."""

    after: float = Field(
        description="What the run is worth: of what is exported where that was measured, else last."
    )
    after_interval: Interval | None = Field(None, description="Low and high of `after`.")
    last: float
    first: float
    minimum: float
    maximum: float
    last_interval: Interval | None = Field(None, description="Low and high of `last`.")
    first_interval: Interval | None = Field(None, description="Those of `first`.")


class RunSummary(View):
    """A run in a list; times are Unix seconds."""

    run_id: str
    name: str = Field(description="The user's name for it, else the config's, else the id.")
    method: RunKind | Literal["unknown"] = Field(
        description="Unknown where config.yaml cannot be read."
    )
    state: ShownState
    created: float
    started: float | None = None
    updated: float | None = Field(None, description="Time of the last event.")
    step: int = 0
    num_steps: int | None = None
    phase: str | None = None
    phase_detail: str = ""
    eta_seconds: float | None = Field(None, description="To the end, evaluations included.")
    eta_source: EtaSource | None = Field(
        None, description="measured: by this run's own steps; forecast: made when it began."
    )
    student: str
    teacher: str | None = None
    annotations: Annotations = Annotations()
    metrics: dict[str, MetricSummary] = Field(default_factory=dict)
    sparkline: tuple[float, ...] = Field(
        (), description="Reward, divergence or loss in 32 buckets."
    )
    proof_passed: bool | None = Field(None, description="Proof of learning; null before it ran.")
    best_step: int | None = None
    headline_step: int | None = Field(
        None, description="Step of what is exported by default: held-out `after` is measured there."
    )
    num_held_out: int | None = Field(None, description="Prompts of the last evaluation.")
    num_events: int = 0
    num_warnings: int = 0
    has_checkpoint: bool = Field(False, description="A resume has somewhere to start from.")
    has_postmortem: bool = Field(False, description="Its process died; see the run's page.")
    damage: str | None = Field(None, description="Why part of the folder cannot be read.")
    queue_position: int | None = Field(None, description="0 is next.")
    columns: dict[str, Value] = Field(
        default_factory=dict, description="Values of the keys asked for with `column`."
    )


class TeacherView(View):
    """What was measured on the prompts of one of several teachers."""

    name: str
    num_prompts: int
    metrics: dict[str, float]
    intervals: dict[str, Interval] = Field(description="95 % intervals, by the same keys.")
    teacher_accuracy: float | None = Field(None, description="The teacher's own.")


class TimePart(View):
    """Seconds of a run's time at work that went into one thing."""

    name: str
    seconds: float


class OriginFile(View):
    """A file that a run was made of, and where its config says it is."""

    title: str
    path: str


class Origin(View):
    """What made a run: data, seed, machine and versions."""

    files: tuple[OriginFile, ...] = ()
    seed: int | None = None
    machine: Machine | None = Field(description="Where its last work began; null before that.")
    machines: int = Field(description="How many different ones it was begun or resumed on.")
    config_hash: str = Field("", description="Of all settings that decide its numbers.")


class RunDetail(View):
    """A run's own page."""

    run: RunSummary
    folder: str
    config: RunConfig | None = Field(description="Null when config.yaml cannot be read.")
    facts: KindFacts | None = Field(description="What holds of such a run; null as its config is.")
    config_yaml: str
    self_test: tuple[Check, ...] = ()
    report: dict[str, float] = Field(default_factory=dict, description="Final numbers.")
    report_intervals: dict[str, Interval] = Field(
        default_factory=dict, description="95 % intervals of final numbers, by the same keys."
    )
    by_teacher: tuple[TeacherView, ...] = Field(
        (), description="Final figures on the prompts of each of several teachers."
    )
    failure: str | None = Field(None, description="What a failed run said.")
    failure_code: str | None = Field(None, description="A stable word for it, for programs.")
    failure_action: str = Field("", description="What can be done about it.")
    postmortem: PostMortem | None = None
    origin: Origin
    preparing_seconds: float | None = Field(
        None, description="From its beginning to its first step, by forecast."
    )
    time_split: tuple[TimePart, ...] = Field(
        (), description="Where the time at work went, pauses left out; `other` is what is left."
    )
    files: tuple[DataFile, ...] = Field((), description="What it read; none before it begins.")
