import json
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from OnPolicyDistill.adapters.graft_sources import refuse_without_switch, vision_tokens
from OnPolicyDistill.datasets.squares import figures
from OnPolicyDistill.datasets.squares_told import kind_of
from OnPolicyDistill.demo.squares_pair import BATCH_SIZE
from OnPolicyDistill.demo.surgery_pair import (
    LOOKER,
    PAIR,
    PLAIN_SHARE,
    READER,
    GraftPlan,
    build_surgery_pair,
    looking_lessons,
    reading_lessons,
)
from OnPolicyDistill.files import shipped_folder

DATA = shipped_folder("data")
SAME_FOR_ANY_LENGTH = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
)


def test_the_reader_is_told_of_training_figures_and_never_shown_one() -> None:
    lessons = list(reading_lessons(replace(READER, num_steps=20)))
    assert len(lessons) == 20 * BATCH_SIZE
    assert lessons == list(reading_lessons(replace(READER, num_steps=20)))
    assert all(set(lesson) == {"messages"} for lesson in lessons)
    pairs = [[message["content"] for message in lesson["messages"]] for lesson in lessons]
    plain = [not said.startswith("<think>") for _, said in pairs]
    assert np.mean(plain) == pytest.approx(PLAIN_SHARE, abs=0.06)
    assert not any("image" in asked for asked, _ in pairs)
    for asked, said in pairs:
        properties = asked.split("\n")[0].split(", ")
        colour, shape = said.split("{")[1].split("}")[0].split()
        assert {colour, shape} < set(properties)


def test_nothing_in_a_question_tells_a_plain_lesson_from_a_thinking_one() -> None:
    asked: dict[bool, set[str]] = {True: set(), False: set()}
    for lesson in reading_lessons(replace(READER, num_steps=20)):
        question, said = (message["content"] for message in lesson["messages"])
        asked[said.startswith("<think>")].add(question.split("\n")[1])
    assert asked[True] == asked[False]


def test_the_looker_is_shown_training_figures_alone(tmp_path: Path) -> None:
    lessons = list(looking_lessons(replace(LOOKER, num_steps=2), tmp_path))
    drawn = {f"images/{figure.name}.png": figure for figure in figures("train")}
    for lesson in lessons:
        (name,) = lesson["images"]
        assert (tmp_path / name).is_file()
        figure, said = drawn[name], lesson["messages"][1]["content"]
        assert said == f"A {kind_of(figure)}, {figure.width} wide and {figure.height} high."


@pytest.mark.parametrize("plan", PAIR)
def test_two_builds_of_one_plan_give_the_same_bytes(plan: GraftPlan, tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    plans = [replace(plan, name=name, num_steps=1) for name in ("once", "twice")]
    build_surgery_pair(tmp_path, lambda *words: said.append(words), plans)
    once, twice = (sorted((tmp_path / "models" / one.name).iterdir()) for one in plans)
    assert [file.name for file in once] == [file.name for file in twice]
    for one, other in zip(once, twice, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert said[-1] == ("training the embedded models", 2, 2)
    for name in SAME_FOR_ANY_LENGTH:
        shipped = DATA / "models" / plan.name / name
        assert (tmp_path / "models" / "once" / name).read_bytes() == shipped.read_bytes()


def test_the_reader_has_the_tokens_and_the_switch_that_a_graft_asks_for() -> None:
    folder = DATA / "models" / READER.name
    refuse_without_switch(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert len(set(vision_tokens(folder, config["vocab_size"]).values())) == 5
    assert config["model_type"] == "qwen3"


def test_tower_and_language_model_have_different_widths() -> None:
    looker, reader = (
        json.loads((DATA / "models" / plan.name / "config.json").read_text()) for plan in PAIR
    )
    assert looker["model_type"] == "qwen2_5_vl"
    assert looker["vision_config"]["patch_size"] == 14
    assert looker["vision_config"]["out_hidden_size"] != reader["hidden_size"]


def test_both_are_stored_in_16_bits_and_are_small() -> None:
    for plan in PAIR:
        file = DATA / "models" / plan.name / "model.safetensors"
        assert file.stat().st_size < 1_000_000
        assert {array.dtype for array in mx.load(str(file)).values()} == {mx.bfloat16}
