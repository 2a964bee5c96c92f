"""The final table for people and for spreadsheets."""

from __future__ import annotations

import csv
import io

from OnPolicyDistill.evaluation.labelled_report import Interval
from OnPolicyDistill.pipelines.table import PipelineTable, VariantRow
from OnPolicyDistill.runs.wording import format_seconds

HEAD = (
    "variant",
    "accuracy",
    "95 % interval",
    "behind the best",
    "tokens",
    "ms an answer",
    "cut",
    "answering",
    "training",
    "trained for",
)
NOTHING = "-"


def describe_table(table: PipelineTable) -> str:
    """The table as text: variants, then rules that need no model, then who wins."""
    rows = [HEAD, *(_cells(row) for row in table.variants)]
    rows += [
        (f"rule: {one.rule}", _share(one.accuracy), _bounds(one.interval), *[""] * (len(HEAD) - 3))
        for one in table.baselines
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    rules = [f"{one.rule}: {one.says}, on {one.num_items} items." for one in table.baselines]
    return "\n".join(
        [
            f"{table.name}: {table.num_items} held-out items",
            "",
            *lines,
            "",
            verdict(table),
            "Behind the best: 95 % interval by paired bootstrap over the items. Answering and "
            "training: MLX's peak in GB. Trained for: its steps, with those it goes on from.",
            *([f"Rules, from the items alone: {' '.join(rules)}"] if rules else []),
        ]
    )


def verdict(table: PipelineTable) -> str:
    """Who wins, in a sentence; nobody where another is as good within the interval."""
    if table.winner is not None:
        if len(table.variants) == 1:
            return f"Only {table.winner} was measured."
        return f"{table.winner} is better than every other variant beyond chance."
    others = [
        row.name for row in table.variants if row.is_as_good_as_best and row.name != table.best
    ]
    return (
        f"No winner: {table.best} has the most right answers, and {', '.join(others)} "
        f"{'is' if len(others) == 1 else 'are'} as good within the interval."
    )


def table_csv(table: PipelineTable) -> str:
    """The table as CSV: a row a variant, then a row a rule; shares of 1, seconds, GB."""
    stream = io.StringIO()
    fields = [*VariantRow.model_fields]
    columns = ["kind", *(column for field in fields for column in _columns(field))]
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    for row in table.variants:
        writer.writerow({"kind": "variant", **_flat(row.model_dump())})
    for one in table.baselines:
        told = _flat(one.model_dump(exclude={"rule", "says"}))
        writer.writerow({"kind": "rule", "name": one.rule, **told})
    return stream.getvalue()


def _cells(row: VariantRow) -> tuple[str, ...]:
    return (
        row.name,
        _share(row.accuracy),
        _bounds(row.interval),
        _behind(row),
        f"{row.tokens_per_answer:.1f}",
        f"{1000 * row.seconds_per_answer:.1f}",
        _share(row.truncated_share),
        NOTHING if row.answer_peak_gb is None else f"{row.answer_peak_gb:.3g}",
        NOTHING if row.train_peak_gb is None else f"{row.train_peak_gb:.3g}",
        NOTHING if row.all_train_seconds is None else format_seconds(row.all_train_seconds),
    )


def _behind(row: VariantRow) -> str:
    if row.behind_interval is None:
        return "the best"
    return f"{100 * row.behind_best:.1f} ({_bounds(row.behind_interval)})"


def _bounds(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def _columns(field: str) -> list[str]:
    return [f"{field}_low", f"{field}_high"] if field.endswith("interval") else [field]


def _flat(values: dict[str, object]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in values.items():
        if not key.endswith("interval"):
            flat[key] = value
        elif isinstance(value, dict):
            flat |= {f"{key}_{end}": bound for end, bound in value.items()}
    return flat
