"""Alarms: what recent metrics say that a person should know, with what can be done about it.

What an alarm is follows from the metrics of the last steps and evaluations alone. A window of steps
is compared with the first window of the same length, so that the first alarm needs two of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.runs.wording import describe_value

WINDOW_STEPS = 10
MAX_TRUNCATED_SHARE = 0.2
LENGTH_GROWTH = 2.0
MIN_GROWN_TOKENS = 32.0
COLLAPSED_SHARE = 0.1
DIVERGENCE_GROWTH = 1.5
PLATEAU_EVALUATIONS = 3
DEAD_SHARE = 0.9
# What is said of a student with a teacher, and of one that is rewarded.
NO_BETTER = {False: "comes no closer to the teacher", True: "earns no more reward"}
SHORTER = {
    False: "a share of the teacher's own completions",
    True: "a reward that takes off for length",
}

Metrics = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Alarm:
    """A warning: a stable code, what was seen, and what can be done."""

    code: str
    message: str
    action: str


class Alarms:
    """Warns of what the metrics say, of each thing once until the process ends."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._given: set[str] = set()
        self._steps: list[Metrics] = []
        self._first_value: float | None = None

    def after_step(self, metrics: Metrics, max_tokens: int) -> None:
        """Take in a step's metrics, whose completions were cut at `max_tokens`."""
        remember(self._steps, metrics)
        self._raise(step_alarms(self._steps, max_tokens))

    def after_evaluation(self, since_improved: int, key: str, measured: Metrics) -> None:
        """Take in how many evaluations brought nothing, what decides, and what was measured."""
        value = measured[key]
        if self._first_value is None:
            self._first_value = value
        alarms = (
            never_stops_alarm(measured),
            plateau_alarm(since_improved, key, value),
            reward_alarm(self._steps, self._first_value, value),
        )
        self._raise(alarm for alarm in alarms if alarm is not None)

    def _raise(self, alarms: Iterable[Alarm]) -> None:
        for alarm in alarms:
            if alarm.code not in self._given:
                self._given.add(alarm.code)
                self._reporter.warn(alarm.code, alarm.message, alarm.action)


def step_alarms(steps: Sequence[Metrics], max_tokens: int) -> tuple[Alarm, ...]:
    """Return the alarms that the steps so far give, the last step at the end."""
    return tuple(
        alarm
        for alarm in (
            _truncated(steps, max_tokens),
            _length_explosion(steps),
            _entropy_collapse(steps),
            _divergence_growth(steps),
            _all_dead(steps),
        )
        if alarm is not None
    )


def remember(steps: list[Metrics], metrics: Metrics) -> None:
    """Add a step; only the first and the last window are kept."""
    steps.append(metrics)
    if len(steps) > 2 * WINDOW_STEPS:
        del steps[WINDOW_STEPS]


def plateau_alarm(since_improved: int, key: str, now: float) -> Alarm | None:
    """Return an alarm when the last evaluations brought nothing beyond chance.

    `since_improved` counts them; `key` and `now` are the metric that decides and its last value.
    """
    if since_improved < PLATEAU_EVALUATIONS:
        return None
    return Alarm(
        "plateau",
        f"The last {since_improved} evaluations brought nothing beyond chance: "
        f"{METRICS[key].title} is {describe_value(key, now)}.",
        "Stop and keep the best checkpoint, or go on with a lower learning_rate or a higher rank.",
    )


def never_stops_alarm(measured: Metrics) -> Alarm | None:
    """Return an alarm when no completion of an evaluation ended by itself."""
    if measured.get("eval_truncated_share", 0.0) < 1:
        return None
    return Alarm(
        "never_stops",
        "None of the held-out completions ended by itself: every one was cut at its limit.",
        "Look at one in the rollouts. Where it goes on behind its answer, the model's end of turn "
        "is none of its stop tokens: name it as eos_token_id in the folder's "
        "generation_config.json. Otherwise raise max_generation_tokens.",
    )


def reward_alarm(steps: Sequence[Metrics], first: float, now: float) -> Alarm | None:
    """Return an alarm when rewards rose clearly and held-out accuracy did not.

    Clearly is by half of what the completions of one prompt differed by at first. `first` and
    `now` are the accuracy of the first evaluation and the last.
    """
    for before, after in _windows(steps, "reward"):
        spread = fmean(metrics["reward_std"] for metrics in steps[:WINDOW_STEPS])
        if after > before + spread / 2 and now <= first:
            return Alarm(
                "reward_without_accuracy",
                f"The reward rose from {before:.3f} to {after:.3f}, and the share of held-out "
                f"prompts answered rightly went from {100 * first:.1f} % to {100 * now:.1f} %: "
                "the student learns to please the grader, or knows the training prompts by heart.",
                "Read the best rollouts for what they are rewarded for; use more prompts, or give "
                "the other rewards less weight.",
            )
    return None


def _all_dead(steps: Sequence[Metrics]) -> Alarm | None:
    shares = [metrics["dead_share"] for metrics in steps if "dead_share" in metrics]
    if len(shares) < WINDOW_STEPS or fmean(shares[-WINDOW_STEPS:]) < DEAD_SHARE:
        return None
    reward = fmean(metrics.get("reward", 0.0) for metrics in steps[-WINDOW_STEPS:])
    return Alarm(
        "dead_groups",
        f"In the last {WINDOW_STEPS} steps hardly any prompt had completions of unequal reward "
        f"(mean {reward:.2f}), so that nothing is learned.",
        "Take prompts that are harder, or easier, than these; raise num_completions or "
        "max_resamples, or fine-tune the model first where it is never right.",
    )


def _truncated(steps: Sequence[Metrics], max_tokens: int) -> Alarm | None:
    share = steps[-1].get("truncated_share", 0.0)
    if share <= MAX_TRUNCATED_SHARE:
        return None
    return Alarm(
        "truncated",
        f"{100 * share:.0f} % of this step's completions were cut at {max_tokens} tokens "
        "and have no end.",
        "Raise max_generation_tokens (in prompt distillation max_answer_tokens), or look whether "
        "the student repeats itself.",
    )


def _length_explosion(steps: Sequence[Metrics]) -> Alarm | None:
    for first, last in _windows(steps, "completion_tokens"):
        if last > MIN_GROWN_TOKENS and last > LENGTH_GROWTH * first:
            return Alarm(
                "length_explosion",
                f"Completions grew from {first:.0f} to {last:.0f} tokens.",
                "Look at the newest rollouts: a student that repeats itself needs a lower "
                f"learning_rate, or {SHORTER['reward' in steps[-1]]}.",
            )
    return None


def _entropy_collapse(steps: Sequence[Metrics]) -> Alarm | None:
    for first, last in _windows(steps, "entropy"):
        # A student that agrees with a sure teacher is sure as well: that is no collapse.
        nears = any(now < before for before, now in _windows(steps, "divergence"))
        earns = any(now > before for before, now in _windows(steps, "reward"))
        if last < COLLAPSED_SHARE * first and not (nears or earns):
            return Alarm(
                "entropy_collapse",
                f"The student's entropy fell from {first:.3f} to {last:.3f} nats while it "
                f"{NO_BETTER['reward' in steps[-1]]}: it says the same whatever is asked.",
                "Stop, and start again from an earlier checkpoint with a lower learning_rate.",
            )
    return None


def _divergence_growth(steps: Sequence[Metrics]) -> Alarm | None:
    for first, last in _windows(steps, "divergence"):
        if last > DIVERGENCE_GROWTH * first:
            return Alarm(
                "divergence",
                f"The student moves away from the teacher: {last:.3f} nats a token, and "
                f"{first:.3f} in the first {WINDOW_STEPS} steps.",
                "Lower learning_rate, or raise gradient_accumulation_steps for steadier steps.",
            )
    return None


def _windows(steps: Sequence[Metrics], key: str) -> Iterator[tuple[float, float]]:
    """Yield the means of the first and the last window, once there are two that do not overlap."""
    values = [metrics[key] for metrics in steps if key in metrics]
    if len(values) >= 2 * WINDOW_STEPS:
        yield fmean(values[:WINDOW_STEPS]), fmean(values[-WINDOW_STEPS:])
