from OnPolicyDistill.evaluation.classification import classify
from OnPolicyDistill.evaluation.labelled_report import Interval, PairComparison, Prediction
from OnPolicyDistill.evaluation.labelled_text import (
    describe_comparison,
    describe_confusion,
    describe_labels,
    describe_variants,
)


def prediction(index: int, gold: str, predicted: str | None) -> Prediction:
    return Prediction(
        index=index, text="x", gold=gold, predicted=predicted, reply="", num_tokens=3,
        seconds=0.25, finish_reason="stop",
    )  # fmt: skip


def test_tables_show_what_was_counted() -> None:
    answers = [prediction(0, "a", "a"), prediction(1, "a", "b"), prediction(2, "b", None)]
    report = classify("[student]", answers, ("a", "b"))
    (_, _, line) = describe_variants((report,)).splitlines()
    assert line.startswith("[student]")
    assert "33.3 %" in line
    assert line.endswith("0.250")
    labels = describe_labels(report).splitlines()
    assert [row.split()[0] for row in labels[2:]] == ["b", "a"]
    assert "(unparseable) (1)" in labels[2]
    confusion = describe_confusion(report).splitlines()
    assert confusion[2].split() == ["a", "1", "1", "."]
    assert confusion[3].split() == ["b", ".", ".", "1"]


def test_a_comparison_names_a_winner_only_with_one() -> None:
    pair = PairComparison(
        first="new", second="old", num_items=50, first_accuracy=0.9, second_accuracy=0.8,
        difference=0.1, interval=Interval(low=-0.02, high=0.2), only_first=7, only_second=2,
        better=None,
    )  # fmt: skip
    assert "+10.0 points (-2.0 to +20.0), no winner; right alone: 7 and 2" in describe_comparison(
        pair
    )
    assert "new is better" in describe_comparison(pair.model_copy(update={"better": "new"}))
