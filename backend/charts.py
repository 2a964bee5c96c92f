"""What charts draw: metrics over steps, time and tokens, and the marks on their axis."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

import numpy as np
from pydantic import Field

from backend.history.digest import HIGH, LOW, Digest
from backend.history.runlog import RunLog
from backend.history.views import View
from OnPolicyDistill.runs.metrics import METRICS

MarkKind = Literal["evaluation", "checkpoint", "warning", "resumed", "paused", "finished", "failed"]


class ChartMark(View):
    """Something that happened at a step."""

    kind: MarkKind
    step: int
    time: float
    text: str = Field(description="What a warning or failure said; a note on other marks.")
    code: str = Field("", description="A warning's or failure's stable word, for programs.")
    action: str = Field("", description="What can be done about a warning or failure.")


class Marks(View):
    """Marks in the order they happened, undone ones left out."""

    marks: tuple[ChartMark, ...]


class MetricHistory(View):
    """A metric in buckets of `bucket` points; lists are parallel, in order of steps.

    `step`, `time` (Unix seconds) and `tokens` (completion tokens so far) are those of a bucket's
    last point. `low` and `high` hold 95 % intervals of the points, the widest of each bucket; they
    are empty where a point has none.
    """

    key: str
    unit: str
    bucket: int
    num_points: int
    step: tuple[int, ...]
    time: tuple[float, ...]
    tokens: tuple[float, ...]
    minimum: tuple[float, ...]
    maximum: tuple[float, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def metric_history(
    log: RunLog, key: str, first: int | None, last: int | None, px: int
) -> MetricHistory | None:
    """Return a metric from step `first` to `last` in at most px buckets; None if not measured."""
    return log.look(lambda digest: _history(digest, key, first, last, px))


def _history(
    digest: Digest, key: str, first: int | None, last: int | None, px: int
) -> MetricHistory | None:
    series = digest.series.get(key)
    if series is None:
        return None
    points = series.points(first, last, px)
    metric = METRICS.get(key)
    lows, highs = (digest.series.get(key + end) for end in (LOW, HIGH))
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    if lows is not None and highs is not None and np.array_equal(lows.steps, series.steps):
        low = tuple(lows.points(first, last, px).minimum.tolist())
        high = tuple(highs.points(first, last, px).maximum.tolist())
    return MetricHistory.model_construct(
        key=key,
        unit="" if metric is None else metric.unit,
        bucket=points.bucket,
        num_points=points.num_points,
        step=tuple(points.step.tolist()),
        time=tuple(points.time.tolist()),
        tokens=_tokens_until(digest, points.step),
        minimum=tuple(points.minimum.tolist()),
        maximum=tuple(points.maximum.tolist()),
        mean=tuple(points.mean.tolist()),
        low=low,
        high=high,
    )


def _tokens_until(
    digest: Digest, steps: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> tuple[float, ...]:
    tokens = digest.series.get("num_tokens")
    if tokens is None or not len(tokens):
        return tuple(0.0 for _ in steps)
    sums = np.concatenate([[0.0], np.cumsum(tokens.values)])
    return tuple(sums[np.searchsorted(tokens.steps, steps, side="right")].tolist())


def marks_of(log: RunLog) -> Marks:
    """Return the marks of a run."""
    found = log.look(lambda digest: list(digest.facts.marks))
    return Marks(marks=tuple(ChartMark.model_validate(asdict(mark)) for mark in found))
