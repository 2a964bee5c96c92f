"""Metrics are named in the places that docs/architecture.md lists, and forgotten in none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from OnPolicyDistill.evaluation.report import HELD_OUT, TEACHERS_OWN
from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.runs.wording import HEADLINE_METRICS, SHORT_NAMES
from tests.test_places import TYPESCRIPT_COMMENT, listed, sources, spoken

ROOT = Path(__file__).parents[1]
# Keys of steps are names of settings and of forecasts as well; those of evaluations are not.
HELD_OUT_KEYS = frozenset(key for key in METRICS if key.startswith("eval_"))
KEY = re.compile(rf"\b(?:{'|'.join(sorted(HELD_OUT_KEYS))})\b")
# Told on pages of their own (labelled items), beside another one, or of no use without it.
NOT_IN_REPORT = {
    "eval_macro_f1",
    "eval_parse_rate",
    "eval_teacher_agreement",
    "eval_num_graded",
    "eval_teacher_entropy_bound",
    "eval_loss_tokens",
}


def names_a_metric(file: str, text: str) -> bool:
    if file.endswith(".py"):
        return any(KEY.fullmatch(word) for word in spoken(text))
    return KEY.search(TYPESCRIPT_COMMENT.sub("", text)) is not None


def test_metrics_are_named_in_the_documented_places_only() -> None:
    allowed = tuple(listed("metric-places") + listed("metric-readers"))
    named = {
        file
        for file in sources()
        if names_a_metric(file, (ROOT / file).read_text(encoding="utf-8"))
    }
    assert {file for file in named if not file.startswith(allowed)} == set()
    assert [place for place in allowed if not any(f.startswith(place) for f in named)] == []


def test_the_places_of_a_metric_are_counted() -> None:
    """A new one is a decision: whoever adds a metric has one more place to remember."""
    assert len(listed("metric-places")) == 10


def test_every_held_out_metric_has_a_row_in_the_report_or_is_told_elsewhere() -> None:
    shown = {*HELD_OUT, *TEACHERS_OWN.values()}
    declared = {key for key in METRICS if METRICS[key].group == "evaluation"}
    assert declared - shown == NOT_IN_REPORT
    assert shown <= declared


def test_every_headline_has_words_in_the_terminal() -> None:
    assert set(SHORT_NAMES) == set(HEADLINE_METRICS)


@pytest.mark.parametrize(
    ("file", "text", "is_named"),
    [
        ("a.py", 'value = event.metrics["eval_accuracy"]\n', True),
        ("a.py", '"""Of eval_accuracy in prose."""\n', False),
        ("a.py", 'key = f"eval_{name}"\n', False),
        ("a.ts", "const accuracy = run.metrics.eval_accuracy;", True),
        ("a.ts", "// eval_accuracy is told elsewhere", False),
    ],
)
def test_a_key_is_told_from_prose(file: str, text: str, is_named: bool) -> None:
    assert names_a_metric(file, text) == is_named
