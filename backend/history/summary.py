"""Derives a run's list entry from its folder: the same folder always gives the same entry."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeGuard

from pydantic import JsonValue, ValidationError

from backend.history.data_files import data_files_of
from backend.history.digest import MAX_NUMBER, Digest, Facts
from backend.history.measured import metrics_of, sparkline_of, time_split_of
from backend.history.runlog import RunLog
from backend.history.views import (
    Origin,
    OriginFile,
    RunDetail,
    RunSummary,
    TeacherView,
    Value,
)
from OnPolicyDistill.config import MAX_CONFIG_BYTES, RunConfig, settings_of
from OnPolicyDistill.errors import ConfigError, RunError
from OnPolicyDistill.evaluation.labelled_report import Interval
from OnPolicyDistill.files import read_plain
from OnPolicyDistill.methods import facts_of, models_of
from OnPolicyDistill.runs.annotations import Annotations, read_annotations
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory, RunState
from OnPolicyDistill.runs.events import Check, Machine, TeacherFigures
from OnPolicyDistill.runs.forecast import read_forecast
from OnPolicyDistill.runs.history import headline_step
from OnPolicyDistill.runs.naming import is_run_name
from OnPolicyDistill.runs.pace import Eta, route_of, time_left
from OnPolicyDistill.runs.postmortem import PostMortem, read_postmortem
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.teachers import MOST_TEACHERS

MAX_TEXT = 20_000


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the folder says beside its log."""

    config: RunConfig | None
    annotations: Annotations
    postmortem: PostMortem | None
    damage: str | None


def read_facts(run: RunDirectory) -> RunFacts:
    """Read the small files of a run; a damaged one is named, not fatal."""
    config, annotations, damage = None, Annotations(), _strange_name(run)
    try:
        config = _read_config(run, *_version(run.config_file))
        annotations = read_annotations(run)
    except (ConfigError, RunError) as error:
        damage = damage or str(error)
    return RunFacts(config, annotations, read_postmortem(run), damage)


def _strange_name(run: RunDirectory) -> str | None:
    if is_run_name(run.path.name):
        return None
    return (
        f"The folder is called {run.run_id}, as no run is. Rename it: letters, digits, - and _, "
        "at most 80."
    )


def _version(file: Path) -> tuple[int, int]:
    """What changes when a file is replaced; zeros where there is none."""
    try:
        about = file.lstat()
    except OSError:
        return 0, 0
    return about.st_mtime_ns, about.st_ino


@lru_cache(maxsize=64)
def _read_config(run: RunDirectory, _changed: int, _inode: int) -> RunConfig:
    """Read a config once: YAML is slow, and a run at work is looked at every second."""
    return run.config()


def summarize(log: RunLog, state: RunState, facts: RunFacts) -> RunSummary:
    """Make a run's list entry."""
    return log.look(lambda digest: _summarize(log, digest, state, facts))


def _summarize(log: RunLog, digest: Digest, state: RunState, facts: RunFacts) -> RunSummary:
    run, running = log.run, state == "running"
    said = digest.facts
    student, teacher = named_models(facts.config)
    eta = _eta(run, said, facts) if running else None
    return RunSummary(
        run_id=run.run_id,
        name=facts.annotations.name or _configured_name(facts.config) or run.run_id,
        method="unknown" if facts.config is None else facts.config.method,
        state=state,
        created=created_time(run),
        started=said.first_time,
        updated=said.last_time,
        step=said.step,
        num_steps=said.num_steps,
        phase=said.phase if running else None,
        phase_detail=said.phase_detail if running else "",
        eta_seconds=None if eta is None else eta.seconds,
        eta_source=None if eta is None else eta.source,
        student=student,
        teacher=teacher,
        annotations=facts.annotations,
        metrics=metrics_of(digest),
        sparkline=sparkline_of(digest),
        proof_passed=None if said.self_test is None else bool(said.self_test.get("passed")),
        best_step=said.best_step,
        headline_step=headline_step(said.best_step, said.last_evaluation),
        num_held_out=said.num_held_out,
        num_events=said.num_events,
        num_warnings=said.num_warnings,
        has_checkpoint=last_checkpoint(run) is not None,
        has_postmortem=_current(facts.postmortem, digest) is not None,
        damage=log.damage or facts.damage,
    )


def _eta(run: RunDirectory, said: Facts, facts: RunFacts) -> Eta | None:
    """Time left; the forecast is read only until the run measures itself."""
    route = route_of(facts.config, said.num_steps)
    return time_left(said.pace, route, None) or time_left(said.pace, route, read_forecast(run))


def detail(log: RunLog, summary: RunSummary) -> RunDetail:
    """Make a run's own page."""
    facts = read_facts(log.run)
    return log.look(lambda digest: _detail(log.run, digest, facts, summary))


def _detail(run: RunDirectory, digest: Digest, facts: RunFacts, summary: RunSummary) -> RunDetail:
    checks = (digest.facts.self_test or {}).get("checks")
    ending = digest.facts.ending or {}
    return RunDetail(
        run=summary,
        folder=os.fsencode(run.path).decode("utf-8", "backslashreplace"),
        config=facts.config,
        facts=None if facts.config is None else facts_of(settings_of(facts.config)),
        config_yaml=_config_text(run),
        self_test=_checks(checks),
        report=_numbers(ending.get("report")),
        report_intervals=_intervals(ending.get("intervals")),
        by_teacher=_teachers(ending.get("by_teacher")),
        failure=_words(ending.get("message")),
        failure_code=_words(ending.get("code")),
        failure_action=_words(ending.get("action")) or "",
        postmortem=_current(facts.postmortem, digest),
        origin=_origin(digest.facts, facts.config),
        preparing_seconds=_preparing_seconds(run),
        time_split=time_split_of(digest),
        files=data_files_of(run),
    )


def _preparing_seconds(run: RunDirectory) -> float | None:
    forecast = read_forecast(run)
    return None if forecast is None else forecast.preparing_seconds


def _origin(said: Facts, config: RunConfig | None) -> Origin:
    machine = said.machines[-1] if said.machines else None
    try:
        known = None if machine is None else Machine.model_validate(machine)
    except ValidationError:
        known = None
    return Origin(
        files=() if config is None else tuple(_files(config)),
        seed=None if config is None else settings_of(config).seed,
        machine=known,
        machines=len(said.machines),
        config_hash=said.config_hash,
    )


def _files(config: RunConfig) -> Iterator[OriginFile]:
    settings = settings_of(config)
    values = settings.model_dump(mode="json")
    for file in facts_of(settings).files:
        path = values.get(file.key)
        if isinstance(path, str) and path:
            yield OriginFile(title=file.title, path=path)


def _config_text(run: RunDirectory) -> str:
    try:
        return read_plain(run.config_file, MAX_CONFIG_BYTES).decode("utf-8", "replace")
    except (FileNotFoundError, RunError):
        return ""


def _checks(values: JsonValue) -> tuple[Check, ...]:
    """The checks of a self-test; none where they are not as they were written."""
    try:
        return tuple(map(Check.model_validate, values)) if isinstance(values, list) else ()
    except ValidationError:
        return ()


def _teachers(values: JsonValue) -> tuple[TeacherView, ...]:
    """The figures of several teachers; none where they are not as they were written."""
    listed = values[:MOST_TEACHERS] if isinstance(values, list) else []
    try:
        figures = [TeacherFigures.model_validate(each) for each in listed]
    except ValidationError:
        return ()
    return tuple(
        TeacherView(
            name=one.name,
            num_prompts=one.num_prompts,
            metrics=one.metrics,
            intervals={k: Interval(low=low, high=high) for k, (low, high) in one.intervals.items()},
            teacher_accuracy=one.teacher_accuracy,
        )
        for one in figures
    )


def _numbers(values: JsonValue) -> dict[str, float]:
    found = values if isinstance(values, dict) else {}
    return {key: float(value) for key, value in found.items() if _is_number(value)}


def _is_number(value: JsonValue) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and abs(value) < MAX_NUMBER


def _intervals(values: JsonValue) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    for key, bounds in values.items() if isinstance(values, dict) else ():
        match bounds:
            case [low, high] if _is_number(low) and _is_number(high):
                found[key] = Interval(low=low, high=high)
            case _:
                pass
    return found


def _words(value: JsonValue) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) else None


def config_values(config: RunConfig) -> Iterator[tuple[str, Value]]:
    """Yield every setting under its dotted key."""
    yield from _flatten("", config.model_dump(mode="json"))


def _flatten(prefix: str, values: dict[str, object]) -> Iterator[tuple[str, Value]]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict):
            yield from _flatten(f"{key}.", value)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            yield from _flatten(f"{key}.", {str(n): item for n, item in enumerate(value)})
        elif isinstance(value, list):
            yield key, ", ".join(str(item) for item in value)
        elif value is None or isinstance(value, str | int | float | bool):
            yield key, value


def created_time(run: RunDirectory) -> float:
    """When the run was made, from its id, else from its settings file."""
    stamp = re.search(r"_(\d{8}_\d{6})_", run.run_id)
    if stamp is not None:
        try:
            return time.mktime(time.strptime(stamp[1], "%Y%m%d_%H%M%S"))
        except (ValueError, OverflowError):
            pass
    try:
        return run.config_file.lstat().st_mtime
    except OSError:
        return 0.0


def named_models(config: RunConfig | None) -> tuple[str, str | None]:
    """Return who learns or answers, and its teacher where it has one."""
    if config is None:
        return "", None
    settings = settings_of(config)
    if isinstance(settings, EvaluationSettings):
        return (settings.variants[0].model if settings.variants else ""), None
    student, teacher = models_of(settings)
    return student or "", teacher


def _configured_name(config: RunConfig | None) -> str | None:
    return None if config is None else settings_of(config).run_name


def _current(postmortem: PostMortem | None, digest: Digest) -> PostMortem | None:
    if postmortem is None or postmortem.after_seq != digest.facts.num_events - 1:
        return None
    return postmortem
