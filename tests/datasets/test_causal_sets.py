"""Files of the causal task: balanced, without a shared graph, readable by all that reads data."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from OnPolicyDistill.datasets.causal_graphs import MOST_PATHS, Split, paths_between
from OnPolicyDistill.datasets.causal_graphs_told import ARROWS, NUMBERS, TOPICS
from OnPolicyDistill.datasets.causal_sets import (
    LEVELS,
    CausalExample,
    Level,
    distinct_causal,
    write_causal,
)
from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.datasets.labelled import load_items, parse_label
from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.errors import DatasetError

SIZES: dict[Split, int] = {"train": 400, "validation": 80, "test": 160}
PARTS = tuple(SIZES)


@pytest.fixture(scope="module")
def parts() -> dict[Split, list[CausalExample]]:
    return {part: distinct_causal(5, part, size, LEVELS["full"]) for part, size in SIZES.items()}


def test_no_graph_is_in_two_parts_whatever_its_variables_are_called(
    parts: dict[Split, list[CausalExample]],
) -> None:
    graphs = {part: {one.graph.name for one in examples} for part, examples in parts.items()}
    for one, other in combinations(PARTS, 2):
        assert not graphs[one] & graphs[other]
    assert len(graphs["train"]) > 80
    assert len(graphs["test"]) > 30


@pytest.mark.parametrize("part", PARTS)
def test_answers_are_balanced_within_neighbours_and_within_others(
    part: Split, parts: dict[Split, list[CausalExample]]
) -> None:
    counts = Counter((one.question.is_adjacent, one.answer) for one in parts[part])
    assert set(counts.values()) == {SIZES[part] // 4}
    assert len(counts) == 4


@pytest.mark.parametrize(
    "what",
    [
        lambda one: (one.question.is_adjacent, one.wording.asked),
        lambda one: len(one.question.given),
        lambda one: one.graph.name,
        lambda one: (one.wording.frame, one.wording.arrows, one.wording.left_aside),
        lambda one: one.wording.names,
    ],
    ids=["hypothesis", "given", "graph", "wording", "names"],
)
def test_nothing_but_the_question_itself_says_anything_of_the_answer(
    what: object, parts: dict[Split, list[CausalExample]]
) -> None:
    assert callable(what)
    counts = Counter((what(one), one.answer) for one in parts["train"])
    assert all(counts[key, "yes"] == counts[key, "no"] for key, _ in counts)


def test_all_sizes_topics_and_wordings_occur(parts: dict[Split, list[CausalExample]]) -> None:
    train = parts["train"]
    assert {one.graph.num_nodes for one in train} == set(NUMBERS)
    assert {one.wording.topic for one in train} == set(TOPICS)
    assert {one.wording.arrows for one in train} == set(range(len(ARROWS) + 1))
    assert {one.wording.is_about_dependence for one in train} == {True, False}
    for one in train:
        paths = list(paths_between(one.graph, one.question.x, one.question.y))
        assert len(paths) <= MOST_PATHS


def test_every_arrow_is_told_and_nothing_is_said_twice(
    parts: dict[Split, list[CausalExample]],
) -> None:
    for one in parts["train"]:
        if one.wording.arrows != 0:
            continue
        told = one.prompt.split("Hypothesis:")[0].lower()
        for a, b in one.graph.edges:
            names = [one.wording.names[node].lower() for node in (a, b)]
            assert told.count(f"{names[0]} causes {names[1]}.") == 1
        assert told.count("causes") == len(one.graph.edges)


def test_the_same_arguments_write_the_same_bytes(tmp_path: Path) -> None:
    sizes: dict[Split, int] = {"train": 20, "test": 8}
    for name in "ab":
        files = write_causal(tmp_path / name, sizes, LEVELS["easy"], 3, thinking=True)
    assert set(files) == {"train", "test"}
    for part in sizes:
        first, second = (tmp_path / name / f"{part}.jsonl" for name in "ab")
        assert first.read_bytes() == second.read_bytes()
    other = write_causal(tmp_path / "c", sizes, LEVELS["easy"], 4, thinking=True)
    assert other["train"].read_bytes() != files["train"].read_bytes()


def test_the_easy_level_asks_about_a_and_b_and_writes_an_arrow_as_one_word() -> None:
    for one in distinct_causal(1, "train", 80, LEVELS["easy"]):
        names = one.wording.names
        assert (names[one.question.x], names[one.question.y]) == ("A", "B")
        assert len(set(names)) == one.graph.num_nodes
        told = one.prompt.split(": ")[2].split(".")[0].split(", ")
        assert sorted(told) == sorted(names[a] + names[b] for a, b in one.graph.edges)
        assert "Any direct effect aside, A and B are" in one.prompt


@pytest.mark.parametrize("thinking", [False, True])
def test_one_file_is_prompts_conversations_and_labelled_items(
    thinking: bool, tmp_path: Path
) -> None:
    file = write_causal(tmp_path, {"test": 12}, LEVELS["full"], 0, thinking)["test"]
    prompts, items = load_prompts(file), load_items(file)
    assert [prompt.answer for prompt in prompts.prompts] == [item.gold for item in items]
    for conversation, item in zip(load_conversations(file), items, strict=True):
        said = str(conversation.messages[-1]["content"])
        assert said.startswith("<think>") == thinking
        assert parse_label(said, ("yes", "no"), "Final Answer:") == item.gold
    assert {item.source for item in items} == {
        json.loads(line)["source"] for line in file.read_text().splitlines()
    }


def test_more_prompts_than_there_are_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TOPICS, "three", ("A", "B", "C"))
    three_letters = Level(range(3, 4), 3, 1, ("three",), plain=True)
    with pytest.raises(DatasetError, match="not that many different prompts for the train file"):
        distinct_causal(0, "train", 4000, three_letters)


def test_the_graph_library_is_loaded_when_a_graph_is_asked_about_and_not_before() -> None:
    code = (
        "import sys, OnPolicyDistill.cli.data, OnPolicyDistill.datasets.causal_sets;"
        "print('networkx' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_level_that_no_question_fits_is_an_error_in_words() -> None:
    # Of three variables two that are no neighbours, given nothing: one answer a graph.
    with pytest.raises(DatasetError, match="not that many different prompts"):
        distinct_causal(0, "train", 4, Level(range(3, 4), 3, 0, ("letters",), plain=True))
