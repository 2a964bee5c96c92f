"""Training and held-out sets are taken apart by what their lines say, into new files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from PIL import Image

from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.kinds import lint_file
from OnPolicyDistill.datasets.linter import LintReport, Ruler, lint_prompts
from OnPolicyDistill.datasets.overlap import ReadAs
from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.datasets.sets_apart import separate, split_off, usual_reading
from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT
from OnPolicyDistill.errors import DatasetError, InputError

SEEING = Ruler(sight=DEFAULT_SIGHT)


def write(file: Path, lines: Iterable[object]) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def prompts(first: int, last: int) -> list[dict[str, str]]:
    return [{"prompt": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(first, last)]


def lines_of(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def overlap(report: LintReport) -> int:
    return report.counts.get("overlap", 0)


def test_a_file_that_is_its_own_held_out_file_is_an_error_and_not_a_warning(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", prompts(0, 300))
    two = write(tmp_path / "two.jsonl", prompts(0, 300))
    report = lint_prompts(two, one)
    assert (report.verdict, report.num_leaked, overlap(report)) == ("error", 300, 1)
    first = report.findings[0]
    assert (first.line, first.code) == (None, "overlap")
    assert "300 of 300 prompts" in first.message


@pytest.mark.parametrize(("num_shared", "verdict"), [(1, "warning"), (2, "warning"), (3, "error")])
def test_a_share_of_one_in_twenty_may_be_shared(
    tmp_path: Path, num_shared: int, verdict: str
) -> None:
    train = write(tmp_path / "train.jsonl", prompts(0, 50))
    held = write(tmp_path / "held.jsonl", prompts(50 - num_shared, 90 - num_shared))
    report = lint_prompts(held, train)
    assert (report.num_prompts, report.num_leaked, report.verdict) == (40, num_shared, verdict)


def test_conversations_leak_in_spite_of_case_and_spaces(tmp_path: Path) -> None:
    def talk(words: str, n: int) -> dict[str, object]:
        turns = [{"role": "user", "content": words}, {"role": "assistant", "content": f"it is {n}"}]
        return {"messages": turns}

    train = write(tmp_path / "train.jsonl", [talk(f"What is {n}?", n) for n in range(30)])
    held = write(tmp_path / "held.jsonl", [talk(f"what  is {n}", n) for n in range(30)])
    report = lint_conversations(held, train, Ruler())
    assert (report.num_leaked, report.num_duplicates, report.verdict) == (30, 0, "error")


def test_what_is_held_out_is_taken_out_of_training_whatever_form_the_files_have(
    tmp_path: Path,
) -> None:
    train = write(tmp_path / "train.jsonl", prompts(0, 30))
    held = tmp_path / "held.csv"
    held.write_text("prompt,answer\n" + "".join(f"what is {n} + 1,x\n" for n in range(20, 40)))
    target = tmp_path / "apart.jsonl"
    done = separate(train, held, target, "prompts")
    assert (done.num_training, done.num_held_out, done.num_taken_out) == (20, 20, 10)
    assert lines_of(target) == prompts(0, 20)
    assert len(lines_of(train)) == 30
    assert lint_prompts(held, target).num_leaked == 0


def test_nothing_is_written_where_nothing_would_be_left(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", prompts(0, 9))
    target = tmp_path / "apart.jsonl"
    with pytest.raises(DatasetError, match="none would be left"):
        separate(train, train, target, "prompts")
    assert not target.exists()


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", prompts(0, 9))
    with pytest.raises(InputError, match="is there already"):
        separate(train, write(tmp_path / "held.jsonl", prompts(3, 4)), train, "prompts")
    targets = (tmp_path / "none" / "a.jsonl", tmp_path / "b.jsonl")
    with pytest.raises(InputError, match="There is no folder"):
        split_off(train, targets, "prompts", 0.1, 0)
    assert len(lines_of(train)) == 9


def test_lines_that_cannot_be_used_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    train = write(tmp_path / "train.jsonl", [*prompts(0, 9), {"prompt": 3}])
    with pytest.raises(DatasetError) as caught:
        split_off(train, (tmp_path / "a.jsonl", tmp_path / "b.jsonl"), "prompts", 0.1, 0)
    assert caught.value.line == 10
    assert not (tmp_path / "a.jsonl").exists()


def split(tmp_path: Path, source: Path, name: str, seed: int = 0) -> tuple[Path, Path]:
    targets = (tmp_path / f"{name}-a.jsonl", tmp_path / f"{name}-b.jsonl")
    split_off(source, targets, usual_reading(source), 0.1, seed)
    return targets


def test_a_tenth_is_held_back_by_seed_and_the_rest_keeps_its_order(tmp_path: Path) -> None:
    source = write(tmp_path / "all.jsonl", prompts(0, 200))
    first, again, other = (
        split(tmp_path, source, name, seed) for name, seed in (("x", 0), ("y", 0), ("z", 1))
    )
    assert [len(lines_of(file)) for file in first] == [180, 20]
    assert first[1].read_bytes() == again[1].read_bytes()
    assert first[1].read_bytes() != other[1].read_bytes()
    held = lines_of(first[1])
    assert lines_of(first[0]) == [line for line in prompts(0, 200) if line not in held]
    assert lint_prompts(first[1], first[0]).num_leaked == 0


def test_equal_lines_stay_on_one_side(tmp_path: Path) -> None:
    source = write(tmp_path / "all.jsonl", [*prompts(0, 30), *prompts(0, 30)])
    training, held = split(tmp_path, source, "x")
    assert lint_prompts(held, training).num_leaked == 0
    assert len(lines_of(training)) + len(lines_of(held)) == 60


def test_one_line_cannot_be_split(tmp_path: Path) -> None:
    source = write(tmp_path / "all.jsonl", [{"prompt": "one"}, {"prompt": "One "}])
    with pytest.raises(DatasetError, match="nothing can be held back"):
        split(tmp_path, source, "x")


@pytest.mark.parametrize(
    ("name", "text", "reading"),
    [
        ("lines.txt", "".join(f"text {n}\n" for n in range(20)), "inputs"),
        ("table.csv", "text,label\n" + "".join(f"text {n},de\n" for n in range(20)), "inputs"),
    ],
)
def test_texts_and_tables_are_split_too(
    tmp_path: Path, name: str, text: str, reading: ReadAs
) -> None:
    source = tmp_path / name
    source.write_text(text, encoding="utf-8")
    assert usual_reading(source) == reading
    training, held = split(tmp_path, source, "x")
    assert [len(lines_of(file)) for file in (training, held)] == [18, 2]
    report = lint_file(held, training, Ruler())
    assert (report.num_prompts, report.num_leaked) == (2, 0)
    assert report.num_answers == (2 if name == "table.csv" else 0)


def test_pictures_are_found_from_where_the_new_files_are(tmp_path: Path) -> None:
    folder, away = tmp_path / "set", tmp_path / "away"
    folder.mkdir()
    away.mkdir()
    lines = []
    for n in range(12):
        Image.new("RGB", (64, 64), (n * 20, 0, 0)).save(folder / f"{n}.png")
        lines.append({"prompt": "Which shade?", "images": [f"{n}.png"], "answer": f"{n}.png"})
    source = write(folder / "all.jsonl", lines)
    training, held = split(away, source, "x")
    found = load_prompts(training, sees=True)
    assert [len(prompt.pictures) for prompt in found.prompts] == [1] * 11
    assert lint_prompts(training, held, SEEING).verdict == "ok"
    # An answer that is called like a picture stays what it was.
    assert {prompt.answer for prompt in found.prompts} < {f"{n}.png" for n in range(12)}


def test_the_same_picture_under_another_name_is_taken_out(tmp_path: Path) -> None:
    for n in range(4):
        Image.new("RGB", (64, 64), (n * 60, 0, 0)).save(tmp_path / f"{n}.png")
    Image.open(tmp_path / "1.png").save(tmp_path / "one.bmp")

    def asked(file: str) -> dict[str, object]:
        return {"prompt": "Which shade?", "images": [file]}

    train = write(tmp_path / "train.jsonl", [asked(f"{n}.png") for n in range(4)])
    held = write(tmp_path / "held.jsonl", [asked("one.bmp")])
    done = separate(train, held, tmp_path / "apart.jsonl", "prompts")
    assert (done.num_training, done.num_taken_out) == (3, 1)


def test_pictures_of_a_hub_folder_and_of_messages_are_carried(tmp_path: Path) -> None:
    folder, away = tmp_path / "hub", tmp_path / "away"
    folder.mkdir()
    away.mkdir()
    for n in range(3):
        Image.new("RGB", (64, 64), (n * 60, 0, 0)).save(folder / f"{n}.png")
    hub = [{"prompt": f"Which {n}?", "file_name": f"{n}.png"} for n in range(3)]
    write(folder / "metadata.jsonl", hub)
    training, _ = split(away, folder / "metadata.jsonl", "hub")
    assert len(load_prompts(training, sees=True).prompts[0].pictures) == 1
    parts = [
        [{"type": "image", "image": f"{n}.png"}, {"type": "text", "text": f"Which {n}?"}]
        for n in range(3)
    ]
    told = write(
        folder / "told.jsonl", [{"messages": [{"role": "user", "content": p}]} for p in parts]
    )
    training, held = split(away, told, "told")
    assert lint_prompts(training, held, SEEING).num_errors == 0


def test_pictures_that_stand_in_the_rows_of_a_table_are_written_out(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pytest.importorskip("pyarrow").Table
    rows = []
    for n in range(10):
        data = io.BytesIO()
        Image.new("RGB", (64, 64), (n * 20, 0, 0)).save(data, "png")
        rows.append({"problem": "Which shade?", "images": [{"bytes": data.getvalue()}]})
    parquet.write_table(table.from_pylist(rows), tmp_path / "all.parquet")
    targets = (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    split_off(tmp_path / "all.parquet", targets, "prompts", 0.1, 0)
    report = lint_prompts(targets[1], targets[0], SEEING)
    assert (report.num_prompts, report.num_errors, report.num_leaked) == (1, 0, 0)
    assert report.pictures is not None
