"""What a run can be found, sorted and grouped by: its settings, metrics and tags, by key."""

from __future__ import annotations

from collections.abc import Iterator

from backend.history.digest import MAX_NUMBER
from backend.history.summary import RunFacts, config_values
from backend.history.views import RunSummary, Value
from OnPolicyDistill.config import settings_of


def values_of(summary: RunSummary, facts: RunFacts) -> list[dict[str, object]]:
    """Rows of the index, one a key."""
    return [
        {
            "number_in_run": number,
            "run_id": summary.run_id,
            "key": key,
            "number": _as_number(value),
            "words": _as_words(value),
        }
        for number, (key, value) in enumerate(_keyed(summary, facts))
    ]


def _keyed(summary: RunSummary, facts: RunFacts) -> Iterator[tuple[str, Value]]:
    if facts.config is not None:
        yield from config_values(facts.config)
        yield "seed", settings_of(facts.config).seed
    # Every method has a name of its own for them.
    yield "student", summary.student
    yield "teacher", summary.teacher
    for key, metric in summary.metrics.items():
        yield key, metric.after
        yield f"{key}.last", metric.last
        yield f"{key}.first", metric.first
        yield f"{key}.minimum", metric.minimum
        yield f"{key}.maximum", metric.maximum
    for tag in summary.annotations.tags:
        yield "tag", tag


def _as_number(value: Value) -> float | None:
    is_number = isinstance(value, int | float) and abs(value) < MAX_NUMBER
    return float(value) if is_number else None  # type: ignore[arg-type]  # checked above


def _as_words(value: Value) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)
