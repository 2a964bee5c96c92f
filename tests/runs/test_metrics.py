"""Metrics are declared once, with what a screen needs to show them."""

from __future__ import annotations

from OnPolicyDistill.runs.metrics import METRICS


def test_every_metric_has_a_title_and_a_meaning_and_is_declared_under_its_key() -> None:
    for key, metric in METRICS.items():
        assert metric.key == key
        assert metric.title
        assert metric.meaning.endswith(".")


def test_evaluation_metrics_are_told_apart_by_their_prefix() -> None:
    for key, metric in METRICS.items():
        if metric.group == "evaluation":
            assert key.startswith("eval_")
