"""A run's log folded line by line: what its list entry, its page and its charts need.

It parses only what it folds, without the event models: a log is read from its beginning whenever
nothing kept of it can be used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from pydantic import JsonValue
from pydantic_core import from_json

from backend.history.series import Series
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.runs.history import begins_session
from OnPolicyDistill.runs.pace import Pace
from OnPolicyDistill.runs.phase_times import PhaseTimes

MAX_MARKS = 5000
BULK = 4096
MAX_NUMBER = 1e300
MAX_COUNT = 2**53
MAX_TIME = 1e11  # the year 5138
# What is kept in memory of a log that says too much.
MAX_METRICS = 1000
MAX_KEY = 120
MAX_WORDS = 2000
MAX_MACHINES = 20

# What marks of evaluations say that `best` points at.
BEST, AS_GOOD = "best so far", "as good as the best so far"
# Behind a metric's key, where the ends of its intervals are kept.
LOW, HIGH = ".low", ".high"

Record: TypeAlias = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to mark on a chart's axis; a warning has a code, and says what can be done."""

    kind: str
    step: int
    time: float
    text: str
    code: str = ""
    action: str = ""


@dataclass(slots=True)
class Facts:
    """What a log says beside its metrics, and how fast the run goes."""

    num_events: int = 0
    first_time: float | None = None
    last_time: float | None = None
    last_kind: str | None = None
    num_steps: int | None = None
    step: int = 0
    phase: str | None = None
    phase_detail: str = ""
    self_test: Record | None = None
    ending: Record | None = None
    num_warnings: int = 0
    best_step: int | None = None
    num_held_out: int | None = None
    last_evaluation: int | None = None
    active_seconds: float = 0.0
    config_hash: str = ""
    machines: list[Record] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    pace: Pace = field(default_factory=Pace)
    phase_times: PhaseTimes = field(default_factory=PhaseTimes)


class Digest:
    """The log so far; `feed` adds a line. Values of undone steps are taken back at a resume."""

    def __init__(self, facts: Facts | None = None, series: dict[str, Series] | None = None) -> None:
        self.facts = facts or Facts()
        self._series = series or {}
        self._bulk = _Bulk()
        self._keys = set(self._series)

    @property
    def series(self) -> dict[str, Series]:
        """Every metric by key."""
        self._bulk.empty_into(self._series)
        return self._series

    def feed(self, line: bytes) -> None:
        """Fold one line of the log.

        Raises:
            RunError: the line is damaged or not the next one.
        """
        record, facts = self._parse(line), self.facts
        for block in ("metrics", "intervals"):
            self._check_keys(record.get(block))
        kind, time = _text(record, "kind"), _time(record)
        if facts.first_time is None:
            facts.first_time = time
        begins = begins_session(kind, record.get("code"))
        if facts.last_time is not None and not begins:
            facts.active_seconds += max(time - facts.last_time, 0.0)
        facts.phase_times.take(kind, time, _text(record, "phase"), begins)
        facts.num_events += 1
        facts.last_time, facts.last_kind = time, kind
        self._fold(kind, time, record)

    def _parse(self, line: bytes) -> Record:
        try:
            record = from_json(line, allow_inf_nan=False)
        except ValueError:
            record = None
        if not isinstance(record, dict) or record.get("seq") != self.facts.num_events:
            raise self._damage("is damaged")
        if _number(record.get("step")) < 0:
            raise self._damage("is of a step below 0")
        return record

    def _damage(self, what: str) -> RunError:
        return RunError(
            f"Event {self.facts.num_events} of the log {what}.",
            "The file was edited or damaged; restore it from a backup.",
        )

    def _check_keys(self, values: JsonValue) -> None:
        """Refuse names that no trainer gives: each costs memory for as long as the log is open."""
        if not isinstance(values, dict) or values.keys() <= self._keys:
            return
        self._keys.update(values)
        if len(self._keys) > MAX_METRICS or any(len(key) > MAX_KEY for key in values):
            raise self._damage("names metrics that no run has")

    def _fold(self, kind: str, time: float, record: Record) -> None:
        facts = self.facts
        step = _count(record.get("step", facts.step))
        match kind:
            case "step_finished":
                facts.phase, facts.phase_detail = "learning", ""
                self._measure(step, time, record)
            case "evaluation_finished":
                self._fold_evaluation(step, time, record)
            case "phase_changed":
                facts.phase, facts.phase_detail = _text(record, "phase"), _text(record, "detail")
                facts.num_steps = _count(record.get("num_steps")) or facts.num_steps
            case "checkpoint_saved":
                self._mark("checkpoint", step, time, "best" if record.get("is_best") else "")
            case "rollout_sampled":
                pass
            case "warning":
                facts.num_warnings += 1
                self._mark_words("warning", step, time, record)
            case _:
                self._fold_turn(kind, step, time, record)
        facts.step = step
        facts.pace.take(kind, step, time, facts.phase or "")

    def _fold_evaluation(self, step: int, time: float, record: Record) -> None:
        """Fold an evaluation; the ends of its intervals are metrics of their own."""
        facts = self.facts
        metrics, intervals = record.get("metrics"), record.get("intervals")
        if isinstance(metrics, dict) and isinstance(intervals, dict):
            record = {**record, "metrics": metrics | _ends(intervals)}
        self._measure(step, time, record)
        facts.last_evaluation = step
        facts.num_held_out = _count(record.get("num_prompts")) or facts.num_held_out
        text = ""
        if record.get("is_best"):
            facts.best_step = step
            text = BEST if record.get("improved") is not False else AS_GOOD
        self._mark("evaluation", step, time, text)

    def _fold_turn(self, kind: str, step: int, time: float, record: Record) -> None:
        """Fold what begins, tests, interrupts or ends a run."""
        facts = self.facts
        facts.ending = None
        match kind:
            case "run_started":
                facts.num_steps = _count(record.get("num_steps")) or None
                facts.config_hash = _text(record, "config_hash")
                self._take_machine(record)
            case "self_test_finished":
                facts.self_test = record
            case "run_resumed":
                self._undo_after(step)
                self._take_machine(record)
                self._mark("resumed", step, time, "")
            case "run_paused":
                self._mark("paused", step, time, _text(record, "reason"))
            case "run_finished":
                facts.ending = record
                self._mark("finished", step, time, "")
            case "run_failed":
                facts.ending = record
                self._mark_words("failed", step, time, record)
            case _:
                pass

    def _measure(self, step: int, time: float, record: Record) -> None:
        metrics = record.get("metrics")
        if not isinstance(metrics, dict) or not metrics:
            return
        if not self._bulk.takes(step, metrics):
            self._bulk.empty_into(self._series)
        self._bulk.add(step, time, metrics)

    def _undo_after(self, step: int) -> None:
        facts = self.facts
        for series in self.series.values():
            series.cut(step)
        facts.marks = [mark for mark in facts.marks if mark.step <= step or mark.kind == "warning"]
        evaluated = [mark.step for mark in facts.marks if mark.kind == "evaluation"]
        facts.last_evaluation = evaluated[-1] if evaluated else None
        if facts.best_step is not None and facts.best_step > step:
            best = [mark.step for mark in facts.marks if mark.text in (BEST, AS_GOOD)]
            facts.best_step = best[-1] if best else None

    def _take_machine(self, record: Record) -> None:
        """Remember on what work began, the newest last and each once."""
        machine, known = record.get("machine"), self.facts.machines
        if isinstance(machine, dict) and len(str(machine)) <= MAX_WORDS:
            kept = [it for it in known if it != machine]
            self.facts.machines = [*kept, machine][-MAX_MACHINES:]

    def _mark(self, kind: str, step: int, time: float, text: str) -> None:
        if len(self.facts.marks) < MAX_MARKS:
            self.facts.marks.append(Mark(kind, step, time, text))

    def _mark_words(self, kind: str, step: int, time: float, record: Record) -> None:
        if len(self.facts.marks) < MAX_MARKS:
            words = (_text(record, key) for key in ("message", "code", "action"))
            self.facts.marks.append(Mark(kind, step, time, *words))


class _Bulk:
    """Measurements of the same metrics at rising steps, turned into arrays many at a time."""

    def __init__(self) -> None:
        self._steps: list[int] = []
        self._times: list[float] = []
        self._rows: list[dict[str, JsonValue]] = []
        self._keys: tuple[str, ...] = ()

    def takes(self, step: int, metrics: dict[str, JsonValue]) -> bool:
        """Whether a measurement can follow those that are here."""
        if not self._steps:
            return True
        rises = step > self._steps[-1] and len(self._steps) < BULK
        return rises and tuple(metrics) == self._keys

    def add(self, step: int, time: float, metrics: dict[str, JsonValue]) -> None:
        """Add a measurement that follows."""
        if not self._steps:
            self._keys = tuple(metrics)
        self._steps.append(step)
        self._times.append(time)
        self._rows.append(metrics)

    def empty_into(self, series: dict[str, Series]) -> None:
        """Move everything into the series of its metric."""
        if not self._steps:
            return
        steps, times = np.array(self._steps, np.int64), np.array(self._times)
        columns = zip(*(row.values() for row in self._rows), strict=True)
        for key, column in zip(self._keys, columns, strict=True):
            known = series.get(key)
            if known is None:
                known = series[key] = Series()
            values = np.array([it if type(it) is float else _number(it) for it in column])
            values[~np.isfinite(values)] = 0.0
            known.extend(steps, times, values)
        self._steps, self._times, self._rows = [], [], []


def _number(value: object) -> float:
    """Read a number; what no trainer writes counts as nothing."""
    is_number = isinstance(value, int | float) and abs(value) < MAX_NUMBER
    return float(value) if is_number else 0.0  # type: ignore[arg-type]  # checked above


def _ends(intervals: dict[str, JsonValue]) -> Record:
    ends: Record = {}
    for key, bounds in intervals.items():
        if isinstance(bounds, list) and len(bounds) == 2:
            ends[key + LOW], ends[key + HIGH] = bounds
    return ends


def _count(value: object) -> int:
    return min(max(int(_number(value)), 0), MAX_COUNT)


def _time(record: Record) -> float:
    """When it happened, within the times that a calendar has."""
    return min(max(_number(record.get("time")), 0.0), MAX_TIME)


def _text(record: Record, key: str) -> str:
    return str(record.get(key, ""))[:MAX_WORDS]
