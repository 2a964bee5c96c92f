"""A labelled evaluation as text: variants, labels worst first, confusions, compared pairs."""

from __future__ import annotations

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from OnPolicyDistill.evaluation.labelled_report import (
    UNPARSEABLE,
    ClassificationReport,
    EvaluationReport,
    PairComparison,
)

WIDTH = 120
CELL = 36


def describe_evaluation(report: EvaluationReport) -> str:
    """Everything: variants, how they compare, and for each its labels and confusions."""
    parts = [describe_variants(report.variants), *map(describe_comparison, report.comparisons)]
    for variant in report.variants:
        if report.grading != "labels":
            parts += [f"\n{variant.name}, wrong answers", describe_wrong(variant)]
        elif variant.num_graded:
            parts += [f"\n{variant.name}, labels, worst first", describe_labels(variant)]
            parts += [f"\n{variant.name}, gold down, answered across", describe_confusion(variant)]
    return "\n".join(parts)


def describe_variants(reports: tuple[ClassificationReport, ...]) -> str:
    """One line a variant."""
    columns = ("variant", "items", "accuracy", "95 %", "macro F1", "readable", "as teacher")
    table = _table((*columns, "tokens/answer", "s/answer"))
    for report in reports:
        interval = report.interval
        table.add_row(
            report.name,
            str(report.num_items),
            _percent(report.accuracy),
            "-" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f}",
            _percent(report.macro_f1),
            _percent(report.parse_rate),
            _percent(report.teacher_agreement),
            f"{report.tokens_per_answer:.1f}",
            f"{report.seconds_per_answer:.3f}",
        )
    return _text(table)


def describe_wrong(report: ClassificationReport) -> str:
    """The first wrong answers as they are, beside the right ones."""
    if not report.wrong:
        return "None." if report.num_graded else "Nothing was graded."
    table = _table(("asked", "right answer", "answered"))
    for example in report.wrong:
        given = UNPARSEABLE if example.predicted is None else example.predicted
        table.add_row(*map(_short, (example.text, example.gold, given)))
    return _text(table)


def describe_labels(report: ClassificationReport) -> str:
    """One line a label, the worst first."""
    table = _table(("label", "items", "accuracy", "precision", "F1", "confused with"))
    for score in report.per_label:
        confused = "-" if score.confused_with is None else score.confused_with
        table.add_row(
            score.label,
            str(score.num_items),
            _percent(score.accuracy),
            _percent(score.precision),
            _percent(score.f1),
            confused + (f" ({score.num_confused})" if score.num_confused else ""),
        )
    return _text(table)


def describe_confusion(report: ClassificationReport) -> str:
    """Gold labels down, answers across; a dot is 0."""
    table = _table(("gold", *report.labels, UNPARSEABLE))
    for label, row in zip(report.labels, report.confusion, strict=True):
        table.add_row(label, *(str(count) if count else "." for count in row))
    return _text(table)


def describe_comparison(pair: PairComparison) -> str:
    """One sentence that names a winner only where the interval does."""
    low, high = 100 * pair.interval.low, 100 * pair.interval.high
    verdict = "no winner" if pair.better is None else f"{pair.better} is better"
    return (
        f"{pair.first} minus {pair.second}: {100 * pair.difference:+.1f} points "
        f"({low:+.1f} to {high:+.1f}), {verdict}; right alone: {pair.only_first} and "
        f"{pair.only_second} of {pair.num_items}."
    )


def _table(columns: tuple[str, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, column in enumerate(columns):
        # Where the line is too short, the name in the first column is cut, never a figure's.
        width = None if place == 0 else len(column)
        table.add_column(
            column, justify="left" if place == 0 else "right", no_wrap=True, min_width=width
        )
    return table


def _text(table: Table) -> str:
    stream = StringIO()
    Console(file=stream, width=WIDTH, no_color=True, markup=False).print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines() if line.strip())


def _short(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= CELL else f"{words[: CELL - 1]}…"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
