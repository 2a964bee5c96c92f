"""Runs side by side: only the settings that differ, and metrics as differences to the first."""

from __future__ import annotations

from pydantic import Field

from backend.backend import Backend
from backend.history.summary import config_values, read_facts
from backend.history.views import MetricSummary, RunSummary, Value, View
from OnPolicyDistill.runs.metrics import METRICS, Better


class DifferentSetting(View):
    """A config key with its value in every run; null also where a run has no such key."""

    key: str
    values: tuple[Value, ...]


class MetricDifference(View):
    """A metric in every run (null where it was not measured), and minus the first run's `after`."""

    key: str
    title: str
    unit: str
    better: Better
    values: tuple[MetricSummary | None, ...]
    deltas: tuple[float | None, ...] = Field(description="Of the values after.")
    gains: tuple[float, ...] = Field(
        description="How much better the value after is than the first run's; 0 where neither is."
    )


class Comparison(View):
    """Runs compared; all lists are in the order of `runs`."""

    runs: tuple[RunSummary, ...]
    settings: tuple[DifferentSetting, ...]
    metrics: tuple[MetricDifference, ...]


def compare_runs(backend: Backend, run_ids: tuple[str, ...]) -> Comparison:
    """Compare runs with the first of them."""
    runs = tuple(backend.summary(run_id) for run_id in run_ids)
    return Comparison(
        runs=runs,
        settings=_different_settings([_settings(backend, run_id) for run_id in run_ids]),
        metrics=_metrics(runs),
    )


def _settings(backend: Backend, run_id: str) -> dict[str, Value]:
    config = read_facts(backend.existing(run_id)).config
    return {} if config is None else dict(config_values(config))


def _different_settings(settings: list[dict[str, Value]]) -> tuple[DifferentSetting, ...]:
    """Settings of one name are one row, whichever method's they are."""
    named = [{_name(key): value for key, value in values.items()} for values in settings]
    keys: dict[str, str] = {}
    for values in settings:
        for key in values:
            keys.setdefault(_name(key), key)
    rows = ((key, tuple(values.get(name) for values in named)) for name, key in keys.items())
    return tuple(
        DifferentSetting(key=key, values=values)
        for key, values in rows
        if any(value != values[0] for value in values)
    )


def _name(key: str) -> str:
    """A setting's key without its method's block: `sft.lora.rank` is `lora.rank`."""
    return key.partition(".")[2] or key


def _metrics(runs: tuple[RunSummary, ...]) -> tuple[MetricDifference, ...]:
    keys = dict.fromkeys(key for run in runs for key in run.metrics)
    return tuple(_difference(key, tuple(run.metrics.get(key) for run in runs)) for key in keys)


def _difference(key: str, values: tuple[MetricSummary | None, ...]) -> MetricDifference:
    metric, first = METRICS.get(key), values[0]
    return MetricDifference(
        key=key,
        title=key if metric is None else metric.title,
        unit="" if metric is None else metric.unit,
        better="neither" if metric is None else metric.better,
        values=values,
        deltas=tuple(
            None if first is None or value is None else value.after - first.after
            for value in values
        ),
        gains=tuple(
            0.0
            if metric is None or first is None or value is None
            else metric.gain(first.after, value.after)
            for value in values
        ),
    )
