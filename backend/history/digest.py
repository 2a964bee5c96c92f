"""A run's log folded line by line: what its list entry, its page and its charts need.

It parses only what it folds, without the event models: a log of 100,000 steps takes a second.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from backend.history.series import Series
from OnPolicyDistill.errors import RunError

MAX_MARKS = 5000
RECENT_STEPS = 20

Json: TypeAlias = "dict[str, Json] | list[Json] | str | float | int | bool | None"
Record: TypeAlias = "dict[str, Json]"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to mark on a chart's axis."""

    kind: str
    step: int
    time: float
    text: str


@dataclass(slots=True)
class Digest:
    """The log so far; `feed` adds a line. Values of undone steps are taken back at a resume."""

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
    series: dict[str, Series] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    recent: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))

    def feed(self, line: bytes) -> None:
        """Fold one line of the log.

        Raises:
            RunError: the line is damaged or not the next one.
        """
        record = self._parse(line)
        kind, time = str(record.get("kind")), _number(record.get("time"))
        if self.first_time is None:
            self.first_time = time
        self.num_events += 1
        self.last_time, self.last_kind = time, kind
        self._fold(kind, time, record)

    def _parse(self, line: bytes) -> Record:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or record.get("seq") != self.num_events:
            raise RunError(
                f"Event {self.num_events} of the log is damaged.",
                "The file was edited or damaged; restore it from a backup.",
            )
        return record

    def _fold(self, kind: str, time: float, record: Record) -> None:
        step = int(_number(record.get("step", self.step)))
        match kind:
            case "step_finished":
                self.recent.append((step, time))
                self._measure(step, time, record)
            case "evaluation_finished":
                self._measure(step, time, record)
                if record.get("is_best"):
                    self.best_step = step
                self._mark("evaluation", step, time, "best so far" if record.get("is_best") else "")
            case "phase_changed":
                self.phase, self.phase_detail = str(record["phase"]), str(record.get("detail", ""))
            case "checkpoint_saved":
                self._mark("checkpoint", step, time, "best" if record.get("is_best") else "")
            case "warning":
                self.num_warnings += 1
                self._mark("warning", step, time, str(record.get("message", "")))
            case _:
                self._fold_turn(kind, step, time, record)
        self.step = step

    def _fold_turn(self, kind: str, step: int, time: float, record: Record) -> None:
        """Fold what begins, tests, interrupts or ends a run."""
        self.ending = None
        match kind:
            case "run_started":
                self.num_steps = int(_number(record.get("num_steps")))
            case "self_test_finished":
                self.self_test = record
            case "run_resumed":
                self._undo_after(step)
                self._mark("resumed", step, time, "")
            case "run_paused":
                self._mark("paused", step, time, str(record.get("reason", "")))
            case "run_finished" | "run_failed":
                self.ending = record
                self._mark(kind.removeprefix("run_"), step, time, "")
            case _:
                pass

    def _measure(self, step: int, time: float, record: Record) -> None:
        metrics = record.get("metrics")
        if not isinstance(metrics, dict):
            return
        for key, value in metrics.items():
            series = self.series.get(key)
            if series is None:
                series = self.series[key] = Series()
            series.append(step, time, _number(value))

    def _undo_after(self, step: int) -> None:
        for series in self.series.values():
            series.cut(step)
        self.marks = [mark for mark in self.marks if mark.step <= step or mark.kind == "warning"]
        self.recent.clear()
        if self.best_step is not None and self.best_step > step:
            best = [mark.step for mark in self.marks if mark.text == "best so far"]
            self.best_step = best[-1] if best else None

    def _mark(self, kind: str, step: int, time: float, text: str) -> None:
        if len(self.marks) < MAX_MARKS:
            self.marks.append(Mark(kind, step, time, text))

    def eta_seconds(self) -> float | None:
        """Time to the last step at the rate of this session's recent steps."""
        if self.num_steps is None or len(self.recent) < 2:
            return None
        (first, began), (last, ended) = self.recent[0], self.recent[-1]
        if last <= first:
            return None
        return max(self.num_steps - last, 0) * (ended - began) / (last - first)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
