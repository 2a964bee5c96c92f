"""What a pipeline's runs took, by the events that they wrote: seconds, and MLX's peak of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from OnPolicyDistill.pipelines.stages import Stage
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import EvaluationFinished, RunFinished, StepFinished
from OnPolicyDistill.runs.log import read_events

PEAK = "peak_memory_gb"


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """Seconds of a run's steps, and the largest peak of any of them; None where not measured."""

    seconds: float | None
    peak_gb: float | None


@dataclass(frozen=True, slots=True)
class Chain:
    """A stage that trained, and what it took with and without those that it goes on from."""

    run_id: str
    own: TrainingCost
    whole: TrainingCost


def chains_of(stages: Sequence[Stage], runs: Mapping[str, RunDirectory]) -> dict[str, Chain]:
    """What each stage that trained took, by its name; each log is read once."""
    chains: dict[str, Chain] = {}
    for stage in stages:
        if stage.config.method == "evaluation":
            continue
        own = training_cost(runs[stage.name])
        before = [] if stage.start is None else [chains[stage.start].whole]
        chains[stage.name] = Chain(runs[stage.name].run_id, own, _together([*before, own]))
    return chains


def training_cost(run: RunDirectory) -> TrainingCost:
    """What the steps of a run took."""
    seconds: float | None = None
    peaks = []
    for event in read_events(run.events_file):
        if isinstance(event, StepFinished) and PEAK in event.metrics:
            peaks.append(event.metrics[PEAK])
        elif isinstance(event, RunFinished):
            seconds = event.report.get("train_seconds")
    return TrainingCost(seconds, max(peaks, default=None))


def answering_peak_gb(run: RunDirectory) -> float | None:
    """MLX's peak while the variant of an evaluation answered; None where it was not measured."""
    peaks = [
        event.metrics[PEAK]
        for event in read_events(run.events_file)
        if isinstance(event, EvaluationFinished) and PEAK in event.metrics
    ]
    return max(peaks, default=None)


def _together(costs: Sequence[TrainingCost]) -> TrainingCost:
    seconds = [cost.seconds for cost in costs if cost.seconds is not None]
    peaks = [cost.peak_gb for cost in costs if cost.peak_gb is not None]
    return TrainingCost(
        sum(seconds) if len(seconds) == len(costs) else None, max(peaks, default=None)
    )
