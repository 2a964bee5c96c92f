"""Free answers: graded by what they are or hold, and never drawn as one label an item."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OnPolicyDistill.config import EvaluationConfig
from OnPolicyDistill.datasets.labelled import LabelledItem
from OnPolicyDistill.evaluation.answering import AnswerRules, predicted_of
from OnPolicyDistill.evaluation.free_answers import KnownGrading, grading_of
from OnPolicyDistill.evaluation.labelled_report import EvaluationReport
from OnPolicyDistill.evaluation.labelled_run import evaluate_run
from OnPolicyDistill.evaluation.labelled_text import describe_evaluation
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.settings.evaluation import EvaluationSettings, Grading, VariantSettings
from tests.backend.tiny import write_tiny_model


def items(*golds: str | None, grader: str | None = None) -> list[LabelledItem]:
    extra = {} if grader is None else {"grader": grader}
    return [LabelledItem(i, f"text {i}", gold, extra=extra) for i, gold in enumerate(golds)]


@pytest.mark.parametrize(
    ("grading", "reply", "given"),
    [
        ("exact", "1998-03-03", "1998-03-03"),
        ("exact", "Hm.\nFinal Answer: “1998-03-03”.", "1998-03-03"),
        ("exact", "<think>1998-03-03</think> 1998-04-03", "1998-04-03"),
        ("exact", "It is 1998-03-03", "It is 1998-03-03"),
        ("exact", "<think>1998-03-03", None),
        ("exact", " ", None),
        ("contains", "It is 1998-03-03, I think.", "1998-03-03"),
        ("contains", "It is 11998-03-03.", "It is 11998-03-03."),
        ("contains", "<think>1998-03-03</think>No idea", "No idea"),
        ("boxed", r"So \boxed{1998-03-03}", "1998-03-03"),
        ("boxed", "1998-03-03", None),
    ],
)
def test_an_answer_is_the_gold_one_or_what_was_said_instead(
    grading: KnownGrading, reply: str, given: str | None
) -> None:
    rules = AnswerRules((), "Final Answer:", grading)
    (item,) = items("1998-03-03")
    assert predicted_of(item, "", reply, rules) == given


@pytest.mark.parametrize("grading", ["exact", "contains"])
def test_without_a_gold_answer_what_was_said_is_told(grading: KnownGrading) -> None:
    rules = AnswerRules((), "Final Answer:", grading)
    assert predicted_of(items(None)[0], "", "Anything", rules) == "Anything"


@pytest.mark.parametrize(
    ("wanted", "labels", "golds", "grader", "found"),
    [
        ("auto", None, ["a", "b"] * 3, None, "labels"),
        ("auto", None, ["a", "b"], None, "labels"),
        ("auto", None, [str(i) for i in range(30)], None, "exact"),
        ("auto", ("0", "1"), [str(i) for i in range(30)], None, "labels"),
        ("auto", None, ["1", "1", "2"], "boxed", "boxed"),
        ("contains", None, ["a", "b"] * 3, None, "contains"),
        ("auto", ("a", "b"), [None, None], None, "labels"),
    ],
)
def test_how_answers_are_graded_follows_the_items_unless_it_is_said(
    wanted: Grading, labels: tuple[str, ...] | None, golds: list[str | None], grader: str | None,
    found: str,
) -> None:  # fmt: skip
    assert grading_of(wanted, labels, items(*golds, grader=grader)) == found


def test_an_evaluation_of_free_answers_has_no_labels_and_tells_the_wrong_ones(
    tmp_path: Path,
) -> None:
    model = write_tiny_model(tmp_path / "model")
    lines = [json.dumps({"text": f"text {i}", "answer": f"answer {i}"}) for i in range(14)]
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    settings = EvaluationSettings(
        variants=(VariantSettings(name="student", model=str(model), max_answer_tokens=4),),
        inputs=str(tmp_path / "items.jsonl"),
    )
    run = create_run(tmp_path, EvaluationConfig(evaluation=settings))
    evaluate_run(run)
    folder = run.path / "evaluation"
    report = EvaluationReport.model_validate_json((folder / "report.json").read_text())
    (variant,) = report.variants
    assert (report.grading, report.labels, variant.labels, variant.confusion) == (
        "exact",
        (),
        (),
        (),
    )
    assert (variant.per_label, variant.macro_f1) == ((), None)
    assert (variant.num_graded, variant.accuracy) == (14, 0.0)
    assert variant.interval is not None
    assert [example.gold for example in variant.wrong] == ["answer 0", "answer 1", "answer 2"]
    assert not (folder / "confusion.png").exists()
    told = describe_evaluation(report)
    assert "worst first" not in told
    assert "gold down" not in told
    assert "answer 0" in told
