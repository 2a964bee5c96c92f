import pytest

from OnPolicyDistill.evaluation.classification import agreement, classify
from OnPolicyDistill.evaluation.intervals import wilson_interval
from OnPolicyDistill.evaluation.labelled_report import (
    UNPARSEABLE,
    ClassificationReport,
    Prediction,
)


def answers(*pairs: tuple[str | None, str | None]) -> list[Prediction]:
    return [
        Prediction(
            index=i,
            text=f"text {i}",
            gold=gold,
            predicted=predicted,
            reply=f"Final Answer: {predicted}",
            num_tokens=10 * (i + 1),
            seconds=0.5,
            finish_reason="length" if predicted is None else "stop",
        )
        for i, (gold, predicted) in enumerate(pairs)
    ]


FIVE = answers(("a", "a"), ("a", "b"), ("a", "a"), ("b", "b"), ("b", None))


def test_wilsons_interval_is_the_published_one() -> None:
    # Newcombe 1998, table I: 81 of 263 and 0 of 20.
    some, none = wilson_interval(81, 263), wilson_interval(0, 20)
    assert (round(some.low, 4), round(some.high, 4)) == (0.2553, 0.3662)
    assert (none.low, round(none.high, 4)) == (0.0, 0.1611)


def test_counts_are_those_made_by_hand() -> None:
    report = classify("x", FIVE, ("a", "b"))
    assert (report.num_correct, report.accuracy, report.parse_rate) == (3, 0.6, 0.8)
    # a: precision 2/2, recall 2/3, F1 0.8; b: precision 1/2, recall 1/2, F1 0.5.
    assert report.macro_f1 == pytest.approx(0.65)
    assert report.confusion == ((2, 1, 0), (0, 1, 1))
    assert (report.tokens_per_answer, report.seconds_per_answer) == (30, 0.5)
    assert report.truncated_share == 0.2


def test_the_worst_label_comes_first_with_its_errors() -> None:
    worst, best = classify("x", FIVE, ("a", "b")).per_label
    assert (worst.label, worst.accuracy, worst.precision, worst.f1) == ("b", 0.5, 0.5, 0.5)
    assert (worst.confused_with, worst.num_confused) == (UNPARSEABLE, 1)
    assert [example.text for example in worst.examples] == ["text 4"]
    assert (best.label, best.confused_with, best.num_confused) == ("a", "b", 1)
    assert (best.precision, best.recall) == (1.0, pytest.approx(2 / 3))


def test_agreement_counts_equal_labels_whatever_the_gold() -> None:
    teacher = answers(("a", "a"), ("a", "b"), ("a", "b"), ("b", None), ("b", None))
    assert agreement(FIVE, teacher) == 0.4
    assert classify("x", FIVE, ("a", "b"), teacher).teacher_agreement == 0.4


def test_items_without_gold_are_answered_but_not_graded() -> None:
    report = classify("x", answers((None, "a"), (None, None)), ("a",))
    assert (report.accuracy, report.interval, report.macro_f1) == (None, None, None)
    assert (report.num_graded, report.parse_rate) == (0, 0.5)


def test_a_gold_label_outside_the_answers_is_counted_and_never_right() -> None:
    report = classify("x", answers(("c", None), ("a", "a")), ("a", "b"))
    assert report.labels == ("a", "b", "c")
    assert report.accuracy == 0.5
    assert [score.label for score in report.per_label] == ["c", "a"]


def test_a_report_survives_json() -> None:
    report = classify("x", FIVE, ("a", "b"), FIVE)
    assert ClassificationReport.model_validate_json(report.model_dump_json()) == report
