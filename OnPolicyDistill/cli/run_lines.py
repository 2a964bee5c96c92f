"""What a list says of a run in one line; one that is damaged is listed with its problem."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from OnPolicyDistill.errors import DistillError

if TYPE_CHECKING:
    from OnPolicyDistill.runs.directory import RunDirectory


LATEST = "latest"


@dataclass(frozen=True, slots=True)
class After:
    """Held-out figures of what a run exports, with their 95 % intervals by the same keys."""

    step: int
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a list. `problem` says what is wrong with a folder that cannot be read."""

    run_id: str
    state: str
    method: str
    name: str
    models: str
    step: int
    num_steps: int
    path: str
    problem: str = ""
    after: After | None = None


def describe_line(run: RunDirectory) -> RunLine:
    """What a list says of a run."""
    from OnPolicyDistill.config import num_steps_of, settings_of
    from OnPolicyDistill.runs.called import name_of
    from OnPolicyDistill.runs.wording import describe_models

    try:
        config = run.config()
        settings = settings_of(config)
        return RunLine(
            run_id=run.run_id,
            state=run.state(),
            method=config.method,
            name=name_of(run),
            models=describe_models(settings),
            step=_last_step(run),
            num_steps=num_steps_of(config) or _settled_steps(run),
            path=_printable(run.path),
            after=_after(run),
        )
    except (DistillError, OSError, ValueError) as error:
        return RunLine(run.run_id, "damaged", "", "", "", 0, 0, _printable(run.path), str(error))


def typed(run: RunDirectory) -> str:
    """What to type for a run: its name where no other run has it, else its id."""
    from OnPolicyDistill.runs.called import name_of
    from OnPolicyDistill.runs.directory import list_runs

    name = name_of(run)
    others = (other for other in list_runs(run.path.parent.parent) if other.run_id != run.run_id)
    if not name or name == LATEST or any(name in (o.run_id, name_of(o)) for o in others):
        return run.run_id
    return shlex.quote(name)


def progress_text(line: RunLine) -> str:
    """How many steps of how many, empty where the rows decide and nobody knows yet."""
    return f"{line.step}/{line.num_steps}" if line.num_steps else ""


def held_out_text(after: After | None) -> str:
    """The first held-out figure with its interval; empty before the first evaluation."""
    figures = _figures(after)
    return figures[0] if figures else ""


def after_text(after: After | None) -> str:
    """All held-out figures that people read first, and of which step they are."""
    figures = _figures(after)
    return f"{', '.join(figures)} (step {after.step})" if after and figures else "not measured yet"


def _figures(after: After | None) -> list[str]:
    from OnPolicyDistill.runs.wording import (
        HEADLINE_METRICS,
        SHORT_NAMES,
        format_interval,
        format_metric,
    )

    if after is None:
        return []
    figures = []
    for key in HEADLINE_METRICS:
        if key in after.metrics:
            interval = after.intervals.get(key)
            sure = "" if interval is None else f" ({format_interval(key, interval)})"
            figures.append(f"{SHORT_NAMES[key]} {format_metric(key, after.metrics[key])}{sure}")
    return figures


def _after(run: RunDirectory) -> After | None:
    from OnPolicyDistill.runs.history import evaluations_of, headlined

    event = headlined(evaluations_of(run))
    return None if event is None else After(event.step, event.metrics, event.intervals)


def _printable(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _last_step(run: RunDirectory) -> int:
    from OnPolicyDistill.runs.events import RunStarted, SelfTestFinished
    from OnPolicyDistill.runs.log import last_event

    event = last_event(run.events_file)
    return 0 if event is None or isinstance(event, RunStarted | SelfTestFinished) else event.step


def _settled_steps(run: RunDirectory) -> int:
    """How many steps the rows of a run decided on; 0 before that, which it says before step 1."""
    from OnPolicyDistill.runs.events import PhaseChanged, StepFinished
    from OnPolicyDistill.runs.log import read_events

    for event in read_events(run.events_file):
        if isinstance(event, PhaseChanged) and event.num_steps:
            return event.num_steps
        if isinstance(event, StepFinished):
            break
    return 0
