"""What a run's log measured, in short: its metrics, its curve in small, and where its time went."""

from __future__ import annotations

from backend.history.digest import HIGH, LOW, Digest
from backend.history.series import Series
from backend.history.views import MetricSummary, TimePart
from OnPolicyDistill.evaluation.labelled_report import Interval
from OnPolicyDistill.runs.history import headline_step, split_of

SPARKLINE_POINTS = 32
SPARKLINE_KEYS = ("reward", "divergence", "loss", "eval_loss")


def metrics_of(digest: Digest) -> dict[str, MetricSummary]:
    """Every metric in short, by key."""
    step = headline_step(digest.facts.best_step, digest.facts.last_evaluation)
    return {
        key: _metric(digest, key, series, step if key.startswith("eval_") else None)
        for key, series in sorted(digest.series.items())
        if len(series) and not key.endswith((LOW, HIGH))
    }


def _metric(digest: Digest, key: str, series: Series, headline: int | None) -> MetricSummary:
    """A metric in short; `headline` is where a held-out one tells what the run is worth."""
    first, last = int(series.steps[0]), int(series.steps[-1])
    value = None if headline is None else series.at(headline)
    after = last if value is None or headline is None else headline
    return MetricSummary(
        after=float(series.values[-1]) if value is None else value,
        after_interval=_interval_at(digest, key, after),
        last=float(series.values[-1]),
        first=float(series.values[0]),
        minimum=float(series.values.min()),
        maximum=float(series.values.max()),
        last_interval=_interval_at(digest, key, last),
        first_interval=_interval_at(digest, key, first),
    )


def metrics_at(digest: Digest, step: int) -> dict[str, float]:
    """What was measured at a step, by key."""
    found = ((key, series.at(step)) for key, series in sorted(digest.series.items()))
    return {
        key: value for key, value in found if value is not None and not key.endswith((LOW, HIGH))
    }


def intervals_at(digest: Digest, step: int) -> dict[str, Interval]:
    """The intervals of what was measured at a step, where there are any, by key."""
    found = ((key, _interval_at(digest, key, step)) for key in metrics_at(digest, step))
    return {key: interval for key, interval in found if interval is not None}


def _interval_at(digest: Digest, key: str, step: int) -> Interval | None:
    """The interval of a metric at a step, None where it has none."""
    ends = [digest.series.get(key + end) for end in (LOW, HIGH)]
    low, high = (None if series is None else series.at(step) for series in ends)
    return None if low is None or high is None else Interval(low=low, high=high)


def sparkline_of(digest: Digest) -> tuple[float, ...]:
    """What a run is watched by, in a few buckets: its reward, divergence or loss."""
    for key in SPARKLINE_KEYS:
        series = digest.series.get(key)
        if series is not None and len(series):
            return tuple(float(mean) for mean in series.points(None, None, SPARKLINE_POINTS).mean)
    return ()


def time_split_of(digest: Digest) -> tuple[TimePart, ...]:
    """Where the time at work went."""
    series = digest.series
    totals = {key: float(it.values.sum()) for key, it in series.items() if key.endswith("_seconds")}
    facts = digest.facts
    shares = split_of(totals, facts.phase_times.seconds, facts.active_seconds)
    return tuple(TimePart(name=share.name, seconds=share.seconds) for share in shares)
