"""What finished runs on this machine measured against what was forecast of them.

Each phase gets a factor: the median of measured over forecast seconds, drawn towards 1 while few
runs have told. Runs are compared at the length that their completions really had, so a factor
says how fast the machine is and not how much students say. Only runs of the same processor with
as much memory count, and only their newest few dozen; of a log its first line and its end are read.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import open_plain
from OnPolicyDistill.runs.directory import RunDirectory, list_runs
from OnPolicyDistill.runs.events import EVENT, RunStarted, StepFinished
from OnPolicyDistill.runs.forecast import RunForecast, read_forecast
from OnPolicyDistill.runs.history import STEP_PHASES
from OnPolicyDistill.runs.reporting import describe_machine

MOST_RUNS = 24
TAIL_BYTES = 200_000
FEWEST_STEPS = 5
# As many runs as it takes for what they measured to count by half.
RUNS_FOR_HALF = 1.0
LARGEST_FACTOR = 4.0


class Calibration(BaseModel):
    """Factors on the forecast seconds of each phase, and the runs that they were learned from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learned_from: tuple[str, ...] = Field((), description="Run ids, newest first.")
    sampling: float = 1.0
    scoring: float = 1.0
    learning: float = 1.0

    @property
    def in_words(self) -> str:
        """One sentence on what was learned."""
        count = len(self.learned_from)
        runs = "one finished run" if count == 1 else f"{count} finished runs"
        parts = ", ".join(
            f"{name} {factor:.2f} times"
            for name, factor in (
                ("sampling", self.sampling),
                ("scoring", self.scoring),
                ("learning", self.learning),
            )
        )
        return f"Corrected by what {runs} on this machine measured: {parts}."


NOTHING_LEARNED = Calibration()


def calibrate(workspace: Path) -> Calibration:
    """Learn from the finished runs of a workspace."""
    measured = dict(_measured_runs(workspace))
    if not measured:
        return NOTHING_LEARNED
    factors = {
        phase: _factor([ratios[phase] for ratios in measured.values() if phase in ratios])
        for phase in STEP_PHASES
    }
    return Calibration(learned_from=tuple(measured), **factors)


def _measured_runs(workspace: Path) -> Iterator[tuple[str, dict[str, float]]]:
    """Run ids with measured over forecast seconds by phase."""
    for run in list_runs(workspace)[:MOST_RUNS]:
        forecast = read_forecast(run)
        if forecast is None or not _is_of_this_machine(run):
            continue
        ratios = _ratios(_last_steps(run), forecast)
        if ratios:
            yield run.run_id, ratios


def _is_of_this_machine(run: RunDirectory) -> bool:
    try:
        with open_plain(run.events_file) as stream:
            event = EVENT.validate_json(stream.readline(TAIL_BYTES))
    except (OSError, RunError, ValidationError):
        return False
    here = describe_machine()
    return (
        isinstance(event, RunStarted)
        and event.machine.processor == here.processor
        and event.machine.memory_gb == here.memory_gb
    )


def _last_steps(run: RunDirectory) -> list[StepFinished]:
    """Steps in the last part of a finished run's log; none of a run that is not finished."""
    try:
        with open_plain(run.events_file) as stream:
            size = stream.seek(0, 2)
            stream.seek(max(size - TAIL_BYTES, 0))
            lines = stream.read().splitlines()[1:]
    except (OSError, RunError):
        return []
    steps, is_finished = [], False
    for line in lines:
        is_finished = b'"kind":"run_finished"' in line
        if b'"kind":"step_finished"' in line:
            try:
                event = EVENT.validate_json(line)
            except ValidationError:
                continue
            if isinstance(event, StepFinished):
                steps.append(event)
    return steps if is_finished else []


def _ratios(steps: list[StepFinished], forecast: RunForecast) -> dict[str, float]:
    """Measured over forecast seconds, at the length that completions had."""
    if len(steps) < FEWEST_STEPS:
        return {}
    lengths = [it.metrics["completion_tokens"] for it in steps if "completion_tokens" in it.metrics]
    length = statistics.median(lengths) if lengths else forecast.completion_tokens
    decoded = length / forecast.completion_tokens if forecast.completion_tokens else 1.0
    whole = forecast.prompt_tokens + forecast.completion_tokens
    read = (forecast.prompt_tokens + length) / whole if whole else 1.0
    expected = {
        "sampling": forecast.sampling_seconds * decoded,
        "scoring": forecast.scoring_seconds * read,
        "learning": forecast.learning_seconds * read,
    }
    found = {}
    for phase, key in STEP_PHASES.items():
        seconds = [it.metrics[key] for it in steps if it.metrics.get(key, 0.0) > 0]
        if len(seconds) >= FEWEST_STEPS and expected[phase] > 0:
            found[phase] = statistics.median(seconds) / expected[phase]
    return found


def _factor(ratios: list[float]) -> float:
    if not ratios:
        return 1.0
    trust = len(ratios) / (len(ratios) + RUNS_FOR_HALF)
    factor = math.exp(trust * statistics.median(map(math.log, ratios)))
    return round(min(max(factor, 1 / LARGEST_FACTOR), LARGEST_FACTOR), 3)
