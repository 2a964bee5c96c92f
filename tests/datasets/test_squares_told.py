import json
import random
from pathlib import Path

from OnPolicyDistill.datasets.squares import COLOURS, WEIGHTS, distinct_squares, figures
from OnPolicyDistill.datasets.squares_told import (
    WORDINGS,
    kind_of,
    plain_answer,
    question,
    thinking_answer,
    told,
    write_conversations,
)
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.grading.boxed import grade_boxed

SHIPPED = shipped_folder("data") / "squares"
FIGURE = figures("train")[0]


def test_a_figure_in_words_has_all_that_its_picture_shows_in_any_order() -> None:
    orders = {told(FIGURE, random.Random(number)) for number in range(400)}
    assert len(orders) == 24
    parts = {FIGURE.colour, FIGURE.shape, f"{FIGURE.width} wide", f"{FIGURE.height} high"}
    assert all(set(words.split(", ")) == parts for words in orders)


def test_answers_are_right_with_and_without_a_thought_and_for_no_other_kind() -> None:
    kinds = {kind_of(figure) for figure in figures("train")}
    assert kinds == {f"{colour} {shape}" for colour in COLOURS for shape in WEIGHTS}
    for figure in figures("train")[::97]:
        for answer in (plain_answer(figure), thinking_answer(figure)):
            right = {kind for kind in kinds if grade_boxed(answer, kind).mark == 1}
            assert right == {kind_of(figure)}


def test_a_thought_names_the_colour_before_the_shape() -> None:
    thought, _, answer = thinking_answer(FIGURE).partition("</think>")
    assert thought.index(FIGURE.colour) < thought.index(FIGURE.shape)
    assert answer.strip() == plain_answer(FIGURE)


def test_no_question_asks_for_sides_or_says_what_is_drawn() -> None:
    words = {*COLOURS, *WEIGHTS, "wide", "high", "width", "height", "area", "perimeter", "side"}
    asked = {question(number) for number in range(30)}
    assert len(asked) == len(WORDINGS)
    assert not any(word in text for text in asked for word in words)


def test_the_shipped_conversations_are_what_is_written(tmp_path: Path) -> None:
    for split, count in (("train", 320), ("held_out", 200)):
        file = f"{split}_conversations.jsonl"
        write_conversations(tmp_path / file, distinct_squares(0, split, count))
        assert (tmp_path / file).read_bytes() == (SHIPPED / file).read_bytes()
    assert all((SHIPPED / "images" / file.name).is_file() for file in tmp_path.glob("images/*"))


def test_held_out_conversations_show_the_held_out_pictures_and_training_ones_none() -> None:
    def shown(name: str) -> list[list[str]]:
        lines = (SHIPPED / name).read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["images"] for line in lines]

    held_out = shown("held_out_conversations.jsonl")
    assert held_out == shown("held_out.jsonl")
    assert not any(picture in held_out for picture in shown("train_conversations.jsonl"))
