"""How fast a run goes, folded from its events, and how long the rest will take.

From three steps on the rest follows from what the run itself measured: steps, evaluations and
checkpoints each at their own time. Before that it follows from the forecast that was written down
when the run began. The command line and the screen tell the same.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import Literal

from OnPolicyDistill.config import RunConfig, settings_of
from OnPolicyDistill.runs.forecast import RunForecast
from OnPolicyDistill.settings.training import OptimizerSettings

EtaSource = Literal["measured", "forecast"]

# Enough that one long step does not decide, few enough to follow completions that change length.
RECENT_STEPS = 30
RECENT_OTHERS = 5
STEPS_TO_MEASURE = 3
# Phases that are no part of a step: whatever comes after them begins anew.
PREPARING = ("loading", "self_test", "generating")
APART = ("evaluating", "saving")


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds to the end, and whether the run's own pace or the forecast says so."""

    seconds: float
    source: EtaSource


@dataclass(frozen=True, slots=True)
class Route:
    """Where a run evaluates and saves on its way; None where nobody knows."""

    num_steps: int | None
    eval_every: int | None = None
    checkpoint_every: int | None = None


@dataclass(slots=True)
class Pace:
    """Seconds of a session's recent steps, evaluations and checkpoints.

    `since` is when the work began that the next of them will end; `num_steps` counts this
    session's. Its first step compiles, so it is not among `steps`.
    """

    steps: list[float] = field(default_factory=list)
    evaluations: list[float] = field(default_factory=list)
    checkpoints: list[float] = field(default_factory=list)
    num_steps: int = 0
    step: int = 0
    is_evaluated: bool = False
    phase: str = ""
    began: float | None = None
    last: float | None = None
    since: float | None = None

    def copy(self) -> Pace:
        """Return one that changes no more with this one."""
        return replace(
            self,
            steps=[*self.steps],
            evaluations=[*self.evaluations],
            checkpoints=[*self.checkpoints],
        )

    def take(self, kind: str, step: int, time: float, phase: str = "") -> None:
        """Take in an event by its kind; most kinds say nothing of the time."""
        match kind:
            case "run_started" | "run_resumed":
                self.begin(step, time)
            case "phase_changed":
                self.change(phase, time)
            case "step_finished":
                self.end_step(step, time)
            case "evaluation_finished":
                self.end_evaluation(time)
            case "checkpoint_saved":
                self.end_checkpoint(time)
            case _:
                pass

    def begin(self, step: int, time: float) -> None:
        """Begin a session at a step: what an earlier one measured may be another machine's."""
        self.steps, self.num_steps, self.since = [], 0, None
        self.step, self.began, self.last, self.phase = step, time, time, ""
        self.is_evaluated = step > 0

    def change(self, phase: str, time: float) -> None:
        """Take in what the run does now; a phase that counts is announced again and again."""
        self.last = time
        if phase in PREPARING:
            self.since = None
        elif phase in APART and phase != self.phase:
            self.since = time
        self.phase = phase

    def end_step(self, step: int, time: float) -> None:
        """Take in the end of a step."""
        if self.num_steps and self.since is not None:
            self.steps = _with(self.steps, time - self.since, RECENT_STEPS)
        self.num_steps += 1
        self.step, self.is_evaluated = step, False
        self._pass(time)

    def end_evaluation(self, time: float) -> None:
        """Take in the end of an evaluation."""
        if self.since is not None:
            self.evaluations = _with(self.evaluations, time - self.since, RECENT_OTHERS)
        self.is_evaluated = True
        self._pass(time)

    def end_checkpoint(self, time: float) -> None:
        """Take in the end of a checkpoint."""
        if self.since is not None:
            self.checkpoints = _with(self.checkpoints, time - self.since, RECENT_OTHERS)
        self._pass(time)

    def _pass(self, time: float) -> None:
        self.since, self.last, self.phase = time, time, ""


def route_of(config: RunConfig | None, num_steps: int | None) -> Route:
    """Where a run with this config evaluates and saves; `num_steps` is its newest word."""
    settings = None if config is None else settings_of(config)
    if not isinstance(settings, OptimizerSettings):
        return Route(num_steps)
    return Route(num_steps, settings.eval_every, settings.checkpoint_every)


def time_left(pace: Pace, route: Route, forecast: RunForecast | None) -> Eta | None:
    """How long the rest takes; None where nothing is left, or nobody can tell."""
    if not route.num_steps:
        return None
    source: EtaSource = "measured"
    if pace.num_steps >= STEPS_TO_MEASURE and pace.steps:
        step, preparing = statistics.fmean(pace.steps), 0.0
    elif forecast is not None:
        source, step = "forecast", forecast.step_seconds
        preparing = 0.0 if pace.num_steps else _preparing_left(pace, forecast)
    else:
        return None
    evaluation = 0.0 if forecast is None else forecast.evaluation_seconds
    seconds = preparing + max(route.num_steps - pace.step, 0) * step
    seconds += _evaluations_left(pace, route) * _mean(pace.evaluations, evaluation)
    seconds += _checkpoints_left(pace, route) * _mean(pace.checkpoints, 0.0)
    return Eta(seconds, source) if seconds > 0 else None


def _preparing_left(pace: Pace, forecast: RunForecast) -> float:
    if pace.began is None or pace.last is None:
        return forecast.preparing_seconds
    return max(forecast.preparing_seconds - (pace.last - pace.began), 0.0)


def _evaluations_left(pace: Pace, route: Route) -> int:
    if not route.eval_every or not route.num_steps:
        return 0
    is_due = pace.step % route.eval_every == 0 or pace.step >= route.num_steps
    now = 1 if is_due and not pace.is_evaluated else 0
    return now + _places(pace.step, route.num_steps, route.eval_every)


def _checkpoints_left(pace: Pace, route: Route) -> int:
    if not route.checkpoint_every or not route.num_steps:
        return 0
    return _places(pace.step, route.num_steps, route.checkpoint_every)


def _places(step: int, num_steps: int, every: int) -> int:
    """Multiples of `every` behind `step`, and the last step where it is none."""
    if step >= num_steps:
        return 0
    return num_steps // every - step // every + (1 if num_steps % every else 0)


def _mean(seconds: list[float], otherwise: float) -> float:
    return statistics.fmean(seconds) if seconds else otherwise


def _with(known: list[float], seconds: float, most: int) -> list[float]:
    """A clock that was set back makes nothing negative."""
    return [*known[1 - most :], max(seconds, 0.0)]
