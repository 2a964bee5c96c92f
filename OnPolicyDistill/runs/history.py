"""What a run's log says in the end: undone steps left out, the later of two lines kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import (
    TORN_LINE_REPAIRED,
    CheckpointSaved,
    EvaluationFinished,
    Event,
    PhaseChanged,
    RunFailed,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    SelfTestFinished,
    StepFinished,
    Warned,
)
from OnPolicyDistill.runs.log import read_events_of
from OnPolicyDistill.runs.phase_times import PhaseTimes

E = TypeVar("E")


STEP_PHASES = {
    "sampling": "sampling_seconds",
    "scoring": "scoring_seconds",
    "learning": "learning_seconds",
}


@dataclass(frozen=True, slots=True)
class TimeShare:
    """Seconds of a run's active time that one kind of work took."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class RunHistory:
    """A run's log folded: every step, evaluation and checkpoint once, in order of steps.

    `num_steps` is how many the run takes by its newest word; `active_seconds` is wall-clock time
    without the gaps before resumes.
    """

    started: RunStarted | None
    num_steps: int | None
    self_test: SelfTestFinished | None
    steps: tuple[StepFinished, ...]
    evaluations: tuple[EvaluationFinished, ...]
    checkpoints: tuple[CheckpointSaved, ...]
    warnings: tuple[Warned, ...]
    resumed_at: tuple[int, ...]
    end: RunFinished | RunFailed | RunPaused | None
    active_seconds: float
    phase_seconds: Mapping[str, float]

    @property
    def before(self) -> EvaluationFinished | None:
        """The evaluation of the student before any step."""
        first = self.evaluations[0] if self.evaluations else None
        return first if first is not None and first.step == 0 else None

    @property
    def after(self) -> EvaluationFinished | None:
        """The evaluation that stands for the run: of what is exported (`headline_step`)."""
        return headlined(self.evaluations)

    @property
    def last(self) -> EvaluationFinished | None:
        """The last evaluation, whatever is exported."""
        return self.evaluations[-1] if self.evaluations else None

    @property
    def best(self) -> EvaluationFinished | None:
        """The evaluation whose checkpoint `best` points at."""
        best = [evaluation for evaluation in self.evaluations if evaluation.is_best]
        return best[-1] if best else None

    def total(self, key: str) -> float:
        """Sum of a metric over all steps; steps without it count as nothing."""
        return sum(step.metrics.get(key, 0.0) for step in self.steps)

    def latest(self, key: str) -> float | None:
        """The value of a held-out metric in the last evaluation that has it."""
        for evaluation in reversed(self.evaluations):
            if key in evaluation.metrics:
                return evaluation.metrics[key]
        return None

    def latest_interval(self, key: str) -> tuple[float, float] | None:
        """The interval of a held-out metric in the last evaluation that has one."""
        for evaluation in reversed(self.evaluations):
            if key in evaluation.intervals:
                return evaluation.intervals[key]
        return None

    def time_split(self) -> tuple[TimeShare, ...]:
        """What the active time went into; `other` is saving, undone steps and what is left."""
        keys = {key for step in self.steps for key in step.metrics}
        totals = {key: self.total(key) for key in keys if key.endswith("_seconds")}
        totals["eval_seconds"] = sum(e.metrics.get("eval_seconds", 0.0) for e in self.evaluations)
        return split_of(totals, self.phase_seconds, self.active_seconds)


def headline_step(best_step: int | None, last_step: int | None) -> int | None:
    """The step whose held-out figures are a run's "after": that of what is exported by default.

    That is the best checkpoint. Where nothing was as good as the start there is none, and the last
    one is exported: then it is `last_step`, the last that was evaluated.
    """
    return best_step or last_step


def headlined(evaluations: Sequence[EvaluationFinished]) -> EvaluationFinished | None:
    """The evaluation at the headline step, of evaluations in the order of their steps."""
    best = next((event.step for event in reversed(evaluations) if event.is_best), None)
    step = headline_step(best, evaluations[-1].step if evaluations else None)
    return next((event for event in evaluations if event.step == step), None)


def evaluations_of(run: RunDirectory) -> tuple[EvaluationFinished, ...]:
    """A run's evaluations, undone ones left out; of its log only their lines are parsed.

    Raises:
        RunError: one of them is damaged.
    """
    return fold(read_events_of(run.events_file, ("evaluation_finished", "run_resumed"))).evaluations


def fold(events: Iterable[Event]) -> RunHistory:
    """Fold a log from its beginning."""
    events = list(events)
    steps: dict[int, StepFinished] = {}
    evaluations: dict[int, EvaluationFinished] = {}
    checkpoints: dict[int, CheckpointSaved] = {}
    for event in events:
        match event:
            case StepFinished():
                steps[event.step] = event
            case EvaluationFinished():
                evaluations[event.step] = event
            case CheckpointSaved():
                checkpoints[event.step] = event
            case RunResumed():
                steps = _until(steps, event.step)
                evaluations = _until(evaluations, event.step)
                checkpoints = _until(checkpoints, event.step)
            case _:
                pass
    return RunHistory(
        started=next((event for event in events if isinstance(event, RunStarted)), None),
        num_steps=_last(said for event in events if (said := _num_steps(event)) is not None),
        self_test=_last(event for event in events if isinstance(event, SelfTestFinished)),
        steps=tuple(steps[step] for step in sorted(steps)),
        evaluations=tuple(evaluations[step] for step in sorted(evaluations)),
        checkpoints=tuple(checkpoints[step] for step in sorted(checkpoints)),
        warnings=tuple(event for event in events if isinstance(event, Warned)),
        resumed_at=tuple(event.step for event in events if isinstance(event, RunResumed)),
        end=_end(events),
        active_seconds=_active_seconds(events),
        phase_seconds=_phase_seconds(events),
    )


def _until(by_step: dict[int, E], step: int) -> dict[int, E]:
    return {number: event for number, event in by_step.items() if number <= step}


def _last(events: Iterable[E]) -> E | None:
    return next(reversed(list(events)), None)


def _num_steps(event: Event) -> int | None:
    """How many steps the run takes, where an event says so; 0 in its first one means unknown."""
    return (event.num_steps or None) if isinstance(event, RunStarted | PhaseChanged) else None


def _end(events: list[Event]) -> RunFinished | RunFailed | RunPaused | None:
    last = events[-1] if events else None
    return last if isinstance(last, RunFinished | RunFailed | RunPaused) else None


def _active_seconds(events: list[Event]) -> float:
    return sum(
        max(after.time - before.time, 0.0)
        for before, after in pairwise(events)
        if not _begins_session(after)
    )


def _phase_seconds(events: list[Event]) -> dict[str, float]:
    times = PhaseTimes()
    for event in events:
        phase = event.phase if isinstance(event, PhaseChanged) else ""
        times.take(event.kind, event.time, phase, _begins_session(event))
    return times.seconds


def begins_session(kind: str, code: object) -> bool:
    """Whether an event of this kind, and code where it is a warning, opens a new process's work.

    The time before it is a pause: another process had ended.
    """
    return kind == "run_resumed" or (kind == "warning" and code == TORN_LINE_REPAIRED)


def _begins_session(event: Event) -> bool:
    return begins_session(event.kind, event.code if isinstance(event, Warned) else None)


# What a step's time goes into, with the metric that has it.
TIME_PARTS = {"sampling": "sampling_seconds", "grading": "grading_seconds", **STEP_PHASES}


# Phases that are no part of a step, by the part of the time that they are.
PHASE_PARTS = {
    "loading": ("loading", "self_test"),
    "generating": ("generating",),
    "evaluating": ("evaluating",),
}


def split_of(
    totals: Mapping[str, float], phases: Mapping[str, float], active_seconds: float
) -> tuple[TimeShare, ...]:
    """What active time went into, of the sums of the steps' metrics by key, and of the phases'.

    Logs without phases have the evaluations' own seconds; the rest is `other`.
    """
    shares = [TimeShare(name, totals.get(key, 0.0)) for name, key in TIME_PARTS.items()]
    for name, parts in PHASE_PARTS.items():
        seconds = sum(phases.get(part, 0.0) for part in parts)
        if name == "evaluating":
            seconds = max(seconds, totals.get("eval_seconds", 0.0))
        shares.append(TimeShare(name, seconds))
    known = sum(share.seconds for share in shares)
    shares.append(TimeShare("other", max(active_seconds - known, 0.0)))
    return tuple(share for share in shares if share.seconds > 0)
