import json
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from OnPolicyDistill.datasets.pictures import open_picture
from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT
from OnPolicyDistill.datasets.squares import (
    CELL_PIXELS,
    COLOURS,
    Figure,
    Split,
    ask,
    blank,
    distinct_squares,
    draw,
    figures,
    generate_squares,
    shuffled,
    write_squares,
)
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.files import shipped_folder

SPLITS: tuple[Split, ...] = ("train", "validation", "held_out")


def test_every_picture_is_in_one_part_and_looks_like_no_other() -> None:
    drawn = {split: {draw(figure).tobytes() for figure in figures(split)} for split in SPLITS}
    assert sum(map(len, drawn.values())) == len(set.union(*drawn.values())) == 3528
    assert sum(len(figures(split)) for split in SPLITS) == 3528
    for split in ("validation", "held_out"):
        assert 300 < len(drawn[split]) < 400


def test_the_same_seed_asks_the_same_and_another_one_does_not() -> None:
    first, second, other = (list(islice(generate_squares(s, "train"), 50)) for s in (3, 3, 4))
    assert first == second != other


def test_examples_of_a_part_show_pictures_of_that_part_only() -> None:
    for split in SPLITS:
        drawn = set(figures(split))
        assert all(e.figure in drawn for e in islice(generate_squares(0, split), 200))


@pytest.mark.parametrize(
    ("shape", "question", "answer", "habit"),
    [
        ("rectangle", "width", "3", "3"),
        ("rectangle", "height", "5", "5"),
        ("rectangle", "area", "15", "15"),
        ("rectangle", "perimeter", "16", "8"),
        ("triangle", "width", "3", "3"),
        ("triangle", "height", "5", "5"),
        ("triangle", "area", "7.5", "15"),
    ],
)
def test_a_habit_forgets_to_double_and_to_halve(
    shape: str, question: str, answer: str, habit: str
) -> None:
    example = ask(Figure(shape, 3, 5, "red", 0, 0), question, "?")  # type: ignore[arg-type]
    assert example.answer == answer
    assert example.completion.endswith(f"\n</think>\n\n\\boxed{{{answer}}}")
    assert example.habitual_completion.endswith(f"\n</think>\n\n\\boxed{{{habit}}}")
    seen = f"A red {shape}, 3 wide and 5 high. "
    assert example.completion.startswith(seen)
    assert example.habitual_completion.startswith(seen)


def test_half_of_the_questions_need_doubling_or_halving_and_none_names_the_shape() -> None:
    examples = list(islice(generate_squares(1, "train"), 2000))
    habitual = sum(example.completion != example.habitual_completion for example in examples)
    assert 0.45 < habitual / len(examples) < 0.55
    words = {word for example in examples for word in example.prompt.lower().split()}
    assert not words & {"rectangle", "triangle", *COLOURS}
    sides = Counter(e.figure.width for e in examples if e.figure is not None)
    assert min(sides.values()) > 250


@pytest.mark.parametrize("shape", ["rectangle", "triangle"])
def test_a_figure_fills_its_squares_and_nothing_else(shape: str) -> None:
    figure = Figure(shape, 4, 2, "blue", 1, 3)  # type: ignore[arg-type]
    coloured = (draw(figure) == COLOURS["blue"]).all(-1)
    rows, columns = np.nonzero(coloured)
    # Lines cover the first pixel of every square.
    assert (rows.min(), columns.min()) == (3 * CELL_PIXELS + 1, CELL_PIXELS + 1)
    assert rows.max() == 5 * CELL_PIXELS - 1
    assert columns.max() <= 5 * CELL_PIXELS - 1
    assert columns.max() >= 5 * CELL_PIXELS - 2
    share = coloured.sum() / (4 * 2 * (CELL_PIXELS - 1) ** 2)
    assert share == pytest.approx(1.0 if shape == "rectangle" else 0.5, abs=0.02)


def test_blank_sheets_show_one_colour_and_keep_questions_and_answers() -> None:
    examples = distinct_squares(0, "held_out", 20)
    without = blank(examples)
    assert [(e.prompt, e.answer) for e in without] == [(e.prompt, e.answer) for e in examples]
    assert {e.figure for e in without} == {None}
    assert len(np.unique(draw(None).reshape(-1, 3), axis=0)) == 1


def test_shuffled_pictures_are_the_same_pictures_and_nobody_keeps_its_own() -> None:
    examples = distinct_squares(0, "held_out", 50)
    wrong = shuffled(examples, 1)
    assert Counter(e.figure for e in wrong) == Counter(e.figure for e in examples)
    assert all(a.figure != b.figure for a, b in zip(wrong, examples, strict=True))
    assert [(e.prompt, e.answer) for e in wrong] == [(e.prompt, e.answer) for e in examples]
    with pytest.raises(DatasetError, match="cannot be shuffled"):
        shuffled(examples[:1], 1)


def test_a_part_gives_no_more_pictures_than_it_has() -> None:
    every = distinct_squares(0, "held_out", len(figures("held_out")))
    assert {example.figure for example in every} == set(figures("held_out"))
    with pytest.raises(DatasetError, match="only 360 held-out pictures"):
        distinct_squares(0, "held_out", len(every) + 1)


def test_a_written_set_has_prompts_answers_and_the_pictures_as_drawn(tmp_path: Path) -> None:
    for name in ("once", "twice"):
        write_squares(tmp_path / name, {"train": 12, "held_out": 5})
    lines = (tmp_path / "once" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    written = [json.loads(line) for line in lines]
    for values, example in zip(written, distinct_squares(0, "train", 12), strict=True):
        assert (values["prompt"], values["answer"]) == (example.prompt, example.answer)
        assert values["grader"] == "boxed"
        with Image.open(tmp_path / "once" / values["images"][0]) as picture:
            np.testing.assert_array_equal(picture.convert("RGB"), draw(example.figure))
    pairs = [sorted((tmp_path / name).rglob("*.*")) for name in ("once", "twice")]
    assert len(pairs[0]) == 12 + 5 + 2
    for one, other in zip(*pairs, strict=True):
        assert one.name == other.name
        assert one.read_bytes() == other.read_bytes()


def test_the_shipped_set_is_what_the_command_writes(tmp_path: Path) -> None:
    shipped = shipped_folder("data") / "squares"
    write_squares(tmp_path, {"train": 320, "held_out": 200})
    for name in ("train.jsonl", "held_out.jsonl"):
        assert (tmp_path / name).read_bytes() == (shipped / name).read_bytes()
    names = {file.name for file in (tmp_path / "images").iterdir()}
    assert names == {file.name for file in (shipped / "images").iterdir()}
    for name in names:
        drawn, kept = (Image.open(folder / "images" / name) for folder in (tmp_path, shipped))
        with drawn, kept:
            # Pixels, not bytes: zlib may pack them otherwise elsewhere.
            np.testing.assert_array_equal(drawn.convert("RGB"), kept.convert("RGB"))


def test_the_shipped_set_is_read_as_prompts_with_pictures_of_two_parts() -> None:
    shipped = shipped_folder("data") / "squares"
    drawn: dict[str, set[bytes]] = {}
    for name in ("train", "held_out"):
        prompts = load_prompts(shipped / f"{name}.jsonl", sees=True).prompts
        assert all(prompt.grader == "boxed" and prompt.answer for prompt in prompts)
        drawn[name] = {
            open_picture(source, DEFAULT_SIGHT).digest
            for prompt in prompts
            for source in prompt.pictures
        }
        assert len(drawn[name]) == len(prompts)
    assert not drawn["train"] & drawn["held_out"]


def test_controls_are_written_beside_the_parts_that_measure(tmp_path: Path) -> None:
    write_squares(tmp_path, {"train": 3, "held_out": 6}, controls=True)
    assert {file.name for file in tmp_path.glob("*.jsonl")} == {
        "train.jsonl",
        "held_out.jsonl",
        "held_out_blank.jsonl",
        "held_out_shuffled.jsonl",
    }
    names = ("held_out", "held_out_blank", "held_out_shuffled")
    own, without, other = (load_prompts(tmp_path / f"{n}.jsonl", sees=True).prompts for n in names)
    for changed in (without, other):
        assert [(p.text, p.answer) for p in changed] == [(p.text, p.answer) for p in own]
        for prompt, before in zip(changed, own, strict=True):
            assert prompt.pictures[0].file != before.pictures[0].file
    assert len({prompt.pictures[0].file for prompt in without}) == 1
