"""Numbers are written as people read them."""

from __future__ import annotations

from OnPolicyDistill.runs.wording import (
    describe_models,
    describe_pace,
    describe_value,
    format_change,
    format_metric,
    format_seconds,
)
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.sft import SftSettings


def test_a_unit_decides_how_a_number_is_written() -> None:
    assert format_metric("eval_agreement", 0.8514) == "85.1 %"
    assert format_metric("eval_reverse_kl", 0.123456) == "0.1235"
    assert format_metric("num_tokens", 12345.0) == "12,345.0"
    assert format_change("eval_agreement", 0.5, 0.85) == "+35.0 points"
    assert format_change("eval_reverse_kl", 2.0, 0.5) == "-75.0 %"
    assert format_change("eval_reverse_kl", 0.0, 0.5) == ""
    assert [format_seconds(value) for value in (1.25, 61, 3_725, 172_800, 1_900_000)] == [
        "1.2 s",
        "1 min 01 s",
        "1 h 02 min",
        "2 days 0 h",
        "21 days 23 h",
    ]


def test_a_pace_is_a_number_that_can_be_read() -> None:
    assert describe_pace(0.5) == "About 120.0 steps a minute"
    assert describe_pace(60) == "About 1.0 steps a minute"
    assert describe_pace(3_900) == "A step every 1 h 05 min"


def test_models_are_named_without_their_folders() -> None:
    pair = DistillationSettings(student_model="/models/small", teacher_model="Qwen/Qwen2.5-32B")
    assert describe_models(pair) == "small learns from Qwen/Qwen2.5-32B"
    tuned = SftSettings(model="qwen2.5-1.5b", conversations="/data/talk.jsonl")
    assert describe_models(tuned) == "qwen2.5-1.5b learns from talk.jsonl"


def test_a_value_that_rises_from_below_zero_is_told_as_a_rise() -> None:
    assert format_change("eval_reverse_kl", -0.5, -0.4) == "+20.0 %"
    assert format_change("eval_reverse_kl", 0.5, 0.4) == "-20.0 %"


def test_a_value_in_a_sentence_has_its_unit() -> None:
    assert describe_value("eval_reverse_kl", 0.25) == "0.2500 nats/token"
    assert describe_value("eval_accuracy", 0.25) == "25.0 %"
    assert describe_value("grad_norm", 0.25) == "0.25"
