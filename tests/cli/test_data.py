"""Prompt files are checked and shown with their line numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.cli.conftest import Opd


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    file = tmp_path / "broken.jsonl"
    lines = ['{"prompt": "one two", "answer": "3"}', '{"prompt": 3}', "nonsense"]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_lines_that_cannot_be_used_are_named_and_end_with_2(opd: Opd, broken: Path) -> None:
    outcome = opd("data", "lint", str(broken))
    assert outcome.exit_code == 2
    assert f"{broken}:2: error: " in outcome.out
    assert f"{broken}:3: error: " in outcome.out
    assert "1 prompt, 1 answer, 2 errors" in outcome.out


def test_a_report_as_json_has_every_finding(opd: Opd, broken: Path) -> None:
    outcome = opd("data", "lint", str(broken), "--json")
    assert outcome.exit_code == 2
    report = outcome.json()
    assert isinstance(report, dict)
    assert report["num_errors"] == 2
    assert {finding["line"] for finding in report["findings"]} >= {2, 3}


def test_prompts_are_counted_in_a_models_tokens(opd: Opd, pair: Path) -> None:
    file = str(pair / "prompts.jsonl")
    assert "characters" in opd("data", "lint", file).out
    outcome = opd("data", "lint", file, "--model", str(pair / "student"))
    assert outcome.exit_code == 0
    assert "tokens" in outcome.out


def test_prompts_of_both_files_are_reported(opd: Opd, pair: Path) -> None:
    training, held_out = str(pair / "prompts.jsonl"), str(pair / "validation.jsonl")
    report = opd("data", "lint", held_out, "--against", training, "--json").json()
    assert isinstance(report, dict)
    assert report["num_leaked"] == 1


def test_prompts_are_shown_as_a_model_sees_them(opd: Opd, pair: Path) -> None:
    file = str(pair / "prompts.jsonl")
    plain = opd("data", "show", file, "--limit", "2")
    assert plain.out.count("line ") == 2
    assert "24 prompts, 0 of them with an answer." in plain.err
    rendered = opd("data", "show", file, "--limit", "1", "--model", str(pair / "student"))
    assert "<|im_start|>user" in rendered.out
    shown = opd("data", "show", file, "--limit", "1", "--json").out
    assert json.loads(shown)["line"] == 1


@pytest.mark.parametrize("command", ["lint", "show"])
def test_a_file_or_a_model_that_is_not_there_is_refused(
    opd: Opd, command: str, broken: Path
) -> None:
    missing = opd("data", command, "nowhere.jsonl")
    assert missing.exit_code == 2
    assert "nowhere.jsonl: There is no such file" in missing.err
    unknown = opd("data", command, str(broken), "--model", "nobody")
    assert unknown.exit_code == 2


def test_conversations_are_written_in_another_form(opd: Opd, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"prompt": "a", "completion": "b", "gold": "x"}\n', encoding="utf-8")
    outcome = opd("data", "convert", str(source), str(target), "--to", "sharegpt")
    assert "Wrote 1 conversation to" in outcome.err
    assert json.loads(target.read_text())["conversations"][1] == {"from": "gpt", "value": "b"}
    assert opd("data", "convert", str(source), str(target)).exit_code == 2
    source.write_text('{"body": "a"}\n', encoding="utf-8")
    outcome = opd("data", "convert", str(source), str(tmp_path / "other.jsonl"))
    assert outcome.exit_code == 2
    assert "its lines have: body" in outcome.err


def test_conversations_are_linted_as_what_they_are(opd: Opd, tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    line = '{"prompt": "a", "completion": "b"}\n'
    file.write_text(line * 2 + '{"prompt": "a"}\n', encoding="utf-8")
    outcome = opd("data", "lint", str(file))
    assert outcome.exit_code == 2
    assert f"{file}:2: warning: Same as line 1." in outcome.out
    assert f"{file}:3: error: " in outcome.out
    assert f"{file}: 2 conversations, " in outcome.out


def test_labelled_items_are_linted_as_what_they_are(opd: Opd, tmp_path: Path) -> None:
    for name, text, found in (
        ("a.csv", "text,label\nJa,de\nyes,en\n", "a.csv: 2 inputs, 2 answers, 0 errors"),
        ("b.txt", "Ja\nyes\n", "b.txt: 2 lines, 0 answers, 0 errors"),
        ("c.jsonl", '{"text": "Ja", "label": "de"}\n', "c.jsonl: 1 input, 1 answer, 0 errors"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        outcome = opd("data", "lint", str(tmp_path / name))
        assert outcome.exit_code == 0
        assert found in outcome.out


def test_squares_are_drawn_into_a_folder_that_the_linter_likes(opd: Opd, tmp_path: Path) -> None:
    folder = tmp_path / "squares"
    outcome = opd(
        "data", "squares", "--out", str(folder), "--train", "9", "--held-out", "0", "--json"
    )
    assert outcome.exit_code == 0
    assert outcome.json() == {"folder": str(folder), "train": 9, "validation": 100, "held_out": 0}
    assert sorted(path.name for path in folder.iterdir()) == [
        "images",
        "train.jsonl",
        "validation.jsonl",
    ]
    assert opd("data", "lint", str(folder / "train.jsonl")).exit_code == 0


def test_more_squares_than_there_are_is_said_before_any_is_drawn(opd: Opd, tmp_path: Path) -> None:
    outcome = opd("data", "squares", "--out", str(tmp_path), "--held-out", "361")
    assert outcome.exit_code == 2
    assert "There are only 360 held-out pictures" in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def pictured(tmp_path: Path) -> Path:
    """A folder with two sets about the same pictures, one of which is not there."""
    Image.new("RGB", (320, 320)).save(tmp_path / "black.png")
    names = ["black.png", "gone.png"]
    for split in ("train", "test"):
        lines = [{"prompt": f"{split} {n}?", "images": [n]} for n in names[: 1 + (split == "test")]]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tmp_path


def test_pictures_are_counted_and_broken_ones_named(opd: Opd, pictured: Path, pair: Path) -> None:
    outcome = opd("data", "lint", str(pictured / "test"), "--against", str(pictured / "train"))
    assert outcome.exit_code == 2
    assert f"{pictured / 'test'}:2: error: " in outcome.out
    assert "gone.png: There is no such picture" in outcome.out
    assert "1 picture of the other set is here too, on 1 line." in outcome.out
    assert "2 pictures on 2 lines, 1 different, 1 broken; median 100 tokens" in outcome.out
    outcome = opd("data", "lint", str(pictured / "train"), "--model", str(pair / "student"))
    assert outcome.exit_code == 2
    assert ":1: error: The line has a picture" in outcome.out


def test_a_check_of_files_finds_pictures_on_both_sides(opd: Opd, pictured: Path) -> None:
    files = ("--prompts", str(pictured / "train"), "--validation", str(pictured / "test"))
    training, held_out = opd("check", *files, "--json").json()["files"]
    assert training["pictures"]["num_leaked"] == 0
    assert held_out["pictures"]["num_leaked"] == 1


def test_prompts_with_pictures_are_shown_by_their_words(opd: Opd, pictured: Path) -> None:
    outcome = opd("data", "show", str(pictured / "train"))
    assert "line 1: train black.png?" in outcome.out


def test_the_causal_task_is_written_with_its_baselines_beside_it(opd: Opd, tmp_path: Path) -> None:
    out = tmp_path / "causal"
    sizes = ("--train", "8", "--validation", "0", "--test", "40")
    told = opd("data", "causal", str(out), *sizes, "--level", "easy", "--thinking", "--json").json()
    assert isinstance(told, dict)
    assert set(told["files"]) == {"train", "test"}
    assert (out / "train.jsonl").read_text().count("<think>") == 8
    found = opd("data", "baselines", told["files"]["test"], "--json").json()
    assert isinstance(found, list)
    accuracies = {rule["rule"]: rule["accuracy"] for rule in found}
    assert (accuracies["majority"], accuracies["adjacency"]) == (0.5, 0.5)
    assert "adjacent means no" in opd("data", "baselines", told["files"]["test"]).out


def test_a_published_set_becomes_prompts(opd: Opd, tmp_path: Path) -> None:
    source, target = tmp_path / "set.csv", tmp_path / "ours.jsonl"
    source.write_text('input,label\n"Premise: A causes B. Hypothesis: B is caused by A.",1\n')
    assert "Wrote 1 prompt to" in opd("data", "causal-published", str(source), str(target)).err
    assert json.loads(target.read_text())["completion"] == "Final Answer: yes"


def test_a_public_layout_is_guessed_said_and_converted(opd: Opd, tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    line = {"instruction": "Name one", "input": "", "output": "Fig"}
    source.write_text(json.dumps(line) + "\n" + json.dumps({**line, "output": ""}) + "\n")
    outcome = opd("data", "convert", str(source), str(target))
    assert outcome.exit_code == 0
    assert "Read as alpaca (guessed). Wrote 1 conversation to" in outcome.err
    assert "Left out for want of an answer: 1 line." in outcome.err
    assert "Fig" in opd("data", "show", str(target)).out
    unknown = opd("data", "convert", str(source), str(tmp_path / "b.jsonl"), "--from", "nobody's")
    assert unknown.exit_code == 2
    assert "Use conversations, prompts" in unknown.err


def test_columns_are_named_by_hand(opd: Opd, tmp_path: Path) -> None:
    source, target = tmp_path / "in.csv", tmp_path / "out.jsonl"
    source.write_text("frage;antwort\nWas?;Das\n", encoding="utf-8")
    words = ("--map", "prompt=frage", "--map", "answer=antwort")
    outcome = opd("data", "convert", str(source), str(target), *words)
    assert "Read as prompts (guessed). Wrote 1 prompt to" in outcome.err
    assert json.loads(target.read_text()) == {"prompt": "Was?", "answer": "Das"}


def test_a_finding_of_many_lines_is_printed_once(opd: Opd, tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text("{\n" * 30 + '{"prompt": "a"}\n', encoding="utf-8")
    outcome = opd("data", "lint", str(file))
    (line,) = (line for line in outcome.out.splitlines() if "not valid JSON" in line)
    assert line.startswith(f"{file}:1: error: ")
    assert line.endswith("(30 lines: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...)")
