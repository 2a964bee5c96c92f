"""Metrics are declared once, with what a screen needs to show them."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    ("key", "gain"), [("eval_reverse_kl", -1.0), ("eval_agreement", 1.0), ("grad_norm", 0.0)]
)
def test_a_value_that_rose_is_better_only_where_higher_is_better(key: str, gain: float) -> None:
    assert METRICS[key].gain(2.0, 3.0) == gain
    assert METRICS[key].gain(3.0, 2.0) == -gain
