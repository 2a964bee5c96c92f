"""Published sets of premises and hypotheses, in the forms that were seen of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OnPolicyDistill.datasets.causal_published import (
    PublishedItem,
    convert_published,
    is_adjacent,
    read_published,
)
from OnPolicyDistill.datasets.labelled import load_items
from OnPolicyDistill.errors import DatasetError

# Our own sentences, in the published form.
PREMISE = (
    "Suppose there is a closed system of 3 variables, A, B and C. All the statistical relations "
    "among these 3 variables are as follows: A correlates with C. B correlates with C. "
    "However, A is independent of B."
)
GIVEN = PREMISE.replace("A is independent of B", "A and B are independent given C")
HYPOTHESIS = "A directly affects B."


def written(folder: Path, form: str) -> Path:
    file = folder / f"set.{'csv' if form == 'csv' else 'jsonl'}"
    if form == "csv":
        text = f'input,label\n"Premise: {PREMISE}\nHypothesis: {HYPOTHESIS}",0\n'
    elif form == "input":
        values = {"input": f"Premise: {PREMISE}\nHypothesis: {HYPOTHESIS}", "label": 0}
        text = json.dumps({**values, "num_variables": 3})
    else:
        values = {"premise": PREMISE, "hypothesis": HYPOTHESIS, "relation": "neutral"}
        text = json.dumps(values)
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("form", ["csv", "input", "premise"])
def test_every_published_form_gives_the_same_item(form: str, tmp_path: Path) -> None:
    assert list(read_published(written(tmp_path, form))) == [
        PublishedItem(PREMISE, HYPOTHESIS, "no", False)
    ]


@pytest.mark.parametrize(
    ("label", "answer"),
    [(1, "yes"), (0, "no"), ("1", "yes"), ("entailment", "yes"), ("contradiction", "no")],
)
def test_only_what_follows_is_a_yes(label: object, answer: str, tmp_path: Path) -> None:
    file = tmp_path / "set.jsonl"
    values = {"premise": PREMISE, "hypothesis": HYPOTHESIS, "relation": label}
    file.write_text(json.dumps(values))
    (item,) = read_published(file)
    assert isinstance(item, PublishedItem)
    assert item.answer == answer


@pytest.mark.parametrize(
    ("premise", "hypothesis", "adjacent"),
    [
        (PREMISE, "A directly affects C.", True),
        (PREMISE, "There exists at least one confounder (i.e., common cause) of B and A.", False),
        (GIVEN, "B influences A through some mediator(s).", False),
        (PREMISE, "A, B and C cause each other.", None),
        ("Rain makes wet.", "A directly affects B.", None),
    ],
)
def test_adjacency_is_read_off_a_premise_that_tells_all_relations(
    premise: str, hypothesis: str, adjacent: bool | None
) -> None:
    assert is_adjacent(premise, hypothesis) is adjacent


def test_converted_items_are_prompts_with_labels_and_one_source_for_each_premise(
    tmp_path: Path,
) -> None:
    file = tmp_path / "set.jsonl"
    lines = [
        {"premise": premise, "hypothesis": HYPOTHESIS, "label": 1} for premise in (PREMISE, GIVEN)
    ]
    file.write_text("\n".join(map(json.dumps, [*lines, {**lines[0], "hypothesis": "B or C."}])))
    assert convert_published(file, tmp_path / "ours.jsonl") == 3
    items = load_items(tmp_path / "ours.jsonl")
    assert [item.gold for item in items] == ["yes"] * 3
    assert items[0].source == items[2].source != items[1].source
    assert [item.extra["adjacent"] for item in items] == [False, False, True]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"premise": PREMISE, "label": 1}, "neither premise and hypothesis nor an input"),
        ({"input": "no marks at all", "label": 1}, "neither premise and hypothesis nor an input"),
        ({"premise": PREMISE, "hypothesis": HYPOTHESIS, "label": 7}, "'7' is none that is known"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(
    values: dict[str, object], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "set.jsonl"
    good = {"premise": PREMISE, "hypothesis": HYPOTHESIS, "label": 1}
    file.write_text("\n".join(map(json.dumps, (good, values))))
    with pytest.raises(DatasetError, match=f"line 2: .*{words}"):
        convert_published(file, tmp_path / "ours.jsonl")
