"""Labelled pictures: models that see answer them, and text models are refused by their line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.datasets.labelled import load_items
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.evaluation.answering import AnswerRules, predicted_of
from OnPolicyDistill.evaluation.labelled_report import (
    FOLDER,
    EvaluationReport,
    Prediction,
    read_predictions,
    read_report,
)
from OnPolicyDistill.evaluation.labelled_run import evaluate_run
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from tests.backend.tiny import write_jsonl, write_tiny_model
from tests.seeing_models import write_seeing_model

COLOURS = {"red": (220, 20, 20), "blue": (20, 20, 220), "white": (255, 255, 255)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that sees, one that does not, and pictures with one question about all of them."""
    root = tmp_path_factory.mktemp("labelled")
    write_seeing_model(root / "seeing", "qwen3_vl")
    write_tiny_model(root / "words")
    for name, colour in COLOURS.items():
        Image.new("RGB", (64, 64), colour).save(root / f"{name}.png")
    asked = [{"text": "Which colour?", "image": f"{name}.png", "label": name} for name in COLOURS]
    write_jsonl(root / "items.jsonl", [*asked, {"text": "Which colour?", "label": "red"}])
    return root


def run_of(root: Path, workspace: Path, *models: str) -> RunDirectory:
    variants = [
        {"name": name, "model": str(root / name), "max_answer_tokens": 6} for name in models
    ]
    inputs = str(root / "items.jsonl")
    values = {"variants": variants, "inputs": inputs, "batch_size": 2, "min_pixels": 784}
    return create_run(workspace, parse_config({"evaluation": values}))


def evaluated(run: RunDirectory) -> tuple[EvaluationReport, list[Prediction]]:
    evaluate_run(run)
    report = read_report(run.path / FOLDER / "report.json")
    return report, read_predictions(run.path / FOLDER / report.files[0])


def test_every_picture_is_looked_at_and_counted_by_its_label(root: Path, tmp_path: Path) -> None:
    report, answers = evaluated(run_of(root, tmp_path, "seeing"))
    (variant,) = report.variants
    assert (variant.num_items, variant.num_graded) == (4, 4)
    assert {score.label for score in variant.per_label} == set(COLOURS)
    assert [answer.gold for answer in answers] == [*COLOURS, "red"]
    # The words are the same: what differs is what was seen, or that nothing was.
    assert len({answer.reply for answer in answers}) == 4


def test_a_text_model_is_refused_by_the_line_before_anybody_answers(
    root: Path, tmp_path: Path
) -> None:
    run = run_of(root, tmp_path, "seeing", "words")
    with pytest.raises(DatasetError, match=r"items\.jsonl, line 1: .*words reads words alone"):
        evaluate_run(run)
    assert not (run.path / FOLDER).exists()


def test_a_free_answer_is_right_where_its_box_is(root: Path, tmp_path: Path) -> None:
    lines = [
        {"problem": "<image>Find x.", "images": ["red.png"], "answer": 48.5, "grader": "boxed"},
        {"text": "Which?", "image": "red.png", "label": "48.5"},
    ]
    (tmp_path / "red.png").write_bytes((root / "red.png").read_bytes())
    write_jsonl(tmp_path / "items.jsonl", lines)
    free, labelled = load_items(tmp_path / "items.jsonl", sees=True)
    assert free.text == "Find x."
    rules = AnswerRules(("48.5",), "Final Answer:")
    assert predicted_of(free, "", r"So \boxed{\frac{97}{2}}.", rules) == "48.5"
    assert predicted_of(free, "", r"So \boxed{7}.", rules) == "7"
    assert predicted_of(free, "", "48.5", rules) is None
    assert predicted_of(free, "<think>", r"\boxed{48.5}", rules) is None
    assert predicted_of(labelled, "", "Final Answer: 48.5", rules) == "48.5"
    assert predicted_of(labelled, "", r"So \boxed{48.5}.", rules) == "48.5"


@pytest.mark.parametrize("gold", [48.5, True, ["a"]])
def test_a_label_that_is_no_name_is_refused_without_a_grader(gold: object, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text(json.dumps({"text": "a", "label": gold}))
    with pytest.raises(DatasetError, match="label is no text"):
        load_items(tmp_path / "items.jsonl")
