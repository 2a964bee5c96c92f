"""A run's events in words, and how long the rest will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from OnPolicyDistill.runs.events import (
    CheckpointSaved,
    EvaluationFinished,
    Event,
    PhaseChanged,
    RolloutSampled,
    RunFailed,
    RunFinished,
    RunPaused,
    RunResumed,
    RunStarted,
    SelfTestFinished,
    StepFinished,
    Warned,
)
from OnPolicyDistill.runs.forecast import RunForecast
from OnPolicyDistill.runs.history import STEP_PHASES
from OnPolicyDistill.runs.pace import Eta, Pace, Route, time_left
from OnPolicyDistill.runs.wording import (
    HEADLINE_METRICS,
    SHORT_NAMES,
    format_change,
    format_interval,
    format_metric,
    format_seconds,
)

T = TypeVar("T")

SHOWN_METRICS = ("loss", "divergence")
# Where rewards teach, the loss is near 0 whatever is learned.
SHOWN_OF_REWARDS = ("reward", "reward_std", "dead_share", "entropy")


class Narrator:
    """Tells a run event by event; remembers where it began and how fast it goes."""

    def __init__(self, route: Route, forecast: RunForecast | None = None) -> None:
        self.num_steps = route.num_steps or 0
        self.step = 0
        self.phase = "starting"
        self.figures = ""
        self.split = ""
        self._before: dict[str, float] = {}
        self._route, self._forecast = route, forecast
        self._pace = Pace()

    def tell(self, event: Event) -> str | None:
        """Take in an event; returns a line for people, or None where there is nothing to say."""
        self._follow(event)
        match event:
            case PhaseChanged():
                self.phase = _describe_phase(event)
                self.num_steps = event.num_steps or self.num_steps
                return _tell_phase(event)
            case StepFinished():
                return self._tell_step(event)
            case EvaluationFinished():
                return self._tell_evaluation(event)
            case RunFinished():
                self.phase = "finished"
                return f"Finished at step {event.step}: {event.because}.{_tell_exported(event)}"
            case RunResumed():
                self.step = event.step
                return f"Goes on from step {event.step}."
            case _:
                return _describe(event)

    @property
    def time_left(self) -> Eta | None:
        """Time to the end, evaluations included; None where nobody can tell."""
        route = replace(self._route, num_steps=self.num_steps)
        return time_left(self._pace, route, self._forecast)

    @property
    def left_in_words(self) -> str:
        """The time left with its source where that is not the run itself; empty without one."""
        left = self.time_left
        if left is None:
            return ""
        said = f"{format_seconds(left.seconds)} left"
        return said if left.source == "measured" else f"{said} by forecast"

    def _follow(self, event: Event) -> None:
        phase = event.phase if isinstance(event, PhaseChanged) else ""
        step = 0 if isinstance(event, RunStarted | SelfTestFinished) else event.step
        self._pace.take(event.kind, step, event.time, phase)

    def _tell_step(self, event: StepFinished) -> str:
        self.step = event.step
        self.phase = "training"
        shown = SHOWN_OF_REWARDS if "reward" in event.metrics else SHOWN_METRICS
        self.figures = " ".join(
            f"{key} {format_metric(key, event.metrics[key])}"
            for key in shown
            if key in event.metrics
        )
        self.split = describe_split(event.metrics)
        step = f"step {event.step}/{self.num_steps}"
        told = (step, self.figures, self.split, self.left_in_words)
        return "  ".join(part for part in told if part)

    def _tell_evaluation(self, event: EvaluationFinished) -> str:
        if not self._before:
            self._before = event.metrics
        figures = _figures(self._before, event.metrics, event.intervals)
        return f"Held out at step {event.step}: {figures}{_rank(event)}."


def _tell_exported(event: RunFinished) -> str:
    """The held-out figures of what is exported, which is not always the last step."""
    report, step = event.report, event.report.get("after_step")
    if not step:
        return ""
    before, after = (_of_moment(report, moment) for moment in ("before", "after"))
    figures = _figures(before, after, _of_moment(event.intervals, "after"))
    return f" What is exported is step {step:.0f}: {figures}."


def _of_moment(values: Mapping[str, T], moment: str) -> dict[str, T]:
    """Those of a report's values that are of one moment, by the metric's key."""
    named = f"{moment}_"
    return {key.removeprefix(named): it for key, it in values.items() if key.startswith(named)}


def _figures(
    before: Mapping[str, float],
    now: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
) -> str:
    """What people read first of held-out figures, each with its interval and its change."""
    parts = []
    for key in HEADLINE_METRICS:
        if key in now:
            interval, first = intervals.get(key), before.get(key)
            notes = [] if interval is None else [format_interval(key, interval)]
            if first is not None and first != now[key]:
                notes.append(format_change(key, first, now[key]))
            said = ", ".join(note for note in notes if note)
            value = format_metric(key, now[key])
            parts.append(f"{SHORT_NAMES[key]} {value}" + (f" ({said})" if said else ""))
    return ", ".join(parts)


def _rank(event: EvaluationFinished) -> str:
    """What became of `best`; the first evaluation has nothing to compare with."""
    if not event.is_best or not event.step:
        return ""
    return ", as good as the best so far" if event.improved is False else ", the best so far"


def describe_split(metrics: dict[str, float]) -> str:
    """How a step's time was split between its phases, in %."""
    parts = {name: metrics[key] for name, key in STEP_PHASES.items() if key in metrics}
    total = sum(parts.values())
    if not total:
        return ""
    return " ".join(f"{name} {100 * seconds / total:.0f} %" for name, seconds in parts.items())


def without_reason(event: Event, line: str | None) -> str | None:
    """A line for a terminal in which the command that fails gives the reason as its last words."""
    return f"Failed at step {event.step}." if isinstance(event, RunFailed) else line


def is_frequent(event: Event) -> bool:
    """Whether events like this come so often that not each of them deserves a line."""
    counts = isinstance(event, PhaseChanged) and event.total is not None
    return counts or isinstance(event, StepFinished)


def _tell_phase(event: PhaseChanged) -> str | None:
    if not event.detail or event.phase == "saving":
        return None
    if event.phase == "evaluating":
        return f"Evaluating: {event.detail}"
    return event.detail if event.total is None else f"{event.detail} {event.done}/{event.total}"


def _describe_phase(event: PhaseChanged) -> str:
    name = event.phase.replace("_", " ")
    return name if event.total is None else f"{name} {event.done or 0}/{event.total}"


def _describe(event: Event) -> str | None:
    line: str | None = None
    match event:
        case RunStarted():
            steps = f" of {event.num_steps} steps" if event.num_steps else ""
            line = f"Run {event.run_id}{steps}."
        case SelfTestFinished():
            line = _describe_self_test(event)
        case CheckpointSaved():
            best = ", best now" if event.is_best else ""
            line = f"Wrote {event.path} ({event.num_bytes / 1e6:.1f} MB{best})."
        case Warned():
            line = f"Warning: {event.message} {event.action}".rstrip()
        case RunPaused():
            line = f"Paused at step {event.step}."
        case RunFailed():
            line = f"Failed at step {event.step}: {event.message} {event.action}".rstrip()
        case _:
            assert isinstance(event, RolloutSampled)
    return line


def _describe_self_test(event: SelfTestFinished) -> str:
    passed = sum(check.passed for check in event.checks)
    verdict = f"Proof of learning: {passed} of {len(event.checks)} checks passed"
    failed = "; ".join(check.claim.rstrip(".") for check in event.checks if not check.passed)
    return f"{verdict}, not: {failed}." if failed else f"{verdict}."
