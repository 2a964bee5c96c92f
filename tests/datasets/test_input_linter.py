"""Files of inputs, line by line: what cannot be used, what is there twice, what leaks."""

from pathlib import Path

import pytest

from OnPolicyDistill.datasets.input_linter import lint_inputs
from OnPolicyDistill.datasets.linter import Ruler


def write(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def found(file: Path, **options: object) -> list[tuple[int | None, str, str]]:
    labels = options.get("labels")
    assert labels is None or isinstance(labels, tuple)
    other = options.get("other")
    assert other is None or isinstance(other, Path)
    report = lint_inputs(file, other, Ruler(), labels)
    return [(each.line, each.severity, each.code) for each in report.findings]


def test_every_line_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    text = (
        '{"text": "Guten Tag", "label": "de"}\n{\n{"words": 1}\n{"text": "Hi", "label": 1.5}\n3\n'
    )
    file = write(tmp_path / "inputs.jsonl", text)
    assert found(file) == [
        (2, "error", "broken_json"),
        (3, "error", "no_text"),
        (4, "error", "wrong_type"),
        (5, "error", "not_object"),
    ]
    report = lint_inputs(file, None, Ruler())
    assert (report.verdict, report.num_lines, report.num_prompts) == ("error", 5, 1)


@pytest.mark.parametrize("name", ["inputs.csv", "inputs.txt"])
def test_text_and_csv_are_read_as_they_are_for_a_run(tmp_path: Path, name: str) -> None:
    report = lint_inputs(write(tmp_path / name, "Guten Tag\n\nBonjour\n"), None, Ruler())
    assert (report.verdict, report.num_prompts, report.num_answers) == ("ok", 2, 0)


def test_a_line_with_too_many_columns_does_not_hide_the_next(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", "text,label\na,b,c\nd,e\nf,g,h\n")
    (told,) = lint_inputs(file, None, Ruler()).findings
    assert told.lines == (2, 4)


def test_quotes_that_do_not_end_are_told_with_their_line(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", 'text,label\none,x\n"two,y\n')
    assert found(file) == [(3, "error", "broken_csv")]


def test_what_is_no_text_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\n\xff\n")
    assert found(tmp_path / "a.txt") == [
        (2, "error", "encoding"),
    ]


def test_duplicates_leaks_and_unknown_labels_are_warnings_and_many_leaks_an_error(
    tmp_path: Path,
) -> None:
    file = write(tmp_path / "a.csv", "text,label\nJa,de\nja ,de\nyes,en\n")
    other = write(tmp_path / "b.txt", "YES\n")
    assert found(file, other=other, labels=("de",)) == [
        (None, "error", "overlap"),
        (3, "warning", "duplicate"),
        (4, "warning", "leaked"),
        (4, "warning", "unknown_label"),
    ]


def test_a_file_without_inputs_is_an_error(tmp_path: Path) -> None:
    assert found(write(tmp_path / "a.txt", "\n")) == [(None, "error", "no_inputs")]
