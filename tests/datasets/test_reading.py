"""Files are read by what they hold, whatever they are called."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from OnPolicyDistill.datasets.kinds import kind_of, lint_file
from OnPolicyDistill.datasets.labelled import load_items
from OnPolicyDistill.datasets.linter import Ruler
from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.datasets.reading import read_records
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.errors import DatasetError

ROWS = [{"text": "Guten Tag, du; ja", "label": "de"}, {"text": "Hello", "label": "en"}]
FUZZED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


def write(folder: Path, name: str, data: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


def problems(file: Path) -> list[tuple[int, str]]:
    return [(bad.line, bad.code) for bad in read_records(file) if isinstance(bad, BadLine)]


FORMS = {
    "lines": LINES,
    "array": json.dumps(ROWS),
    "array over lines": json.dumps(ROWS, indent=2),
    "array with an object a line": "[" + ",\n".join(map(json.dumps, ROWS)) + "]\n",
    "wrapped": json.dumps({"version": 1, "data": ROWS}),
    "semicolons": 'text;label\n"Guten Tag, du; ja";de\nHello;en\n',
    "tabs": "text\tlabel\nGuten Tag, du; ja\tde\nHello\ten\n",
    "commas": 'text,label\n"Guten Tag, du; ja",de\nHello,en\n',
    "spaced commas": '"text", "label"\n"Guten Tag, du; ja", "de"\n"Hello", "en"\n',
    "pipes": "text|label\nGuten Tag, du; ja|de\nHello|en\n",
    "sep line": 'sep=;\r\ntext;label\r\n"Guten Tag, du; ja";de\r\nHello;en\r\n',
}


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.json", "a.csv", "a.tsv", "a.txt", "a"])
@pytest.mark.parametrize("form", FORMS)
def test_one_content_is_read_alike_under_every_name(form: str, name: str, tmp_path: Path) -> None:
    file = write(tmp_path, name, FORMS[form])
    items = load_items(file)
    assert [{"text": item.text, "label": item.gold} for item in items] == ROWS
    assert kind_of(file) == "inputs"
    report = lint_file(file, None, Ruler())
    assert (report.num_prompts, report.num_answers, report.num_errors) == (2, 2, 0)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("form", ["lines", "array over lines", "tabs", "semicolons"])
def test_what_a_spreadsheet_calls_unicode_is_read(form: str, encoding: str, tmp_path: Path) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    text = FORMS[form].replace("Hello", "Héllo ❤").replace("\n", "\r\n")
    items = load_items(write(tmp_path, "a.txt", mark + text.encode(encoding)))
    assert [(item.text, item.gold) for item in items[1:]] == [("Héllo ❤", "en")]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('text\tlabel\n"Hi" she said\tde\nHe said "no\ten\n', ['"Hi" she said', 'He said "no']),
        ('text;label\n"Ja;\nnein";de\nyes;en\n', ["Ja;\nnein", "yes"]),
        ('text,label\n"He said \\"hi\\", ok",de\nyes,en\n', ['He said "hi", ok', "yes"]),
        ('text,label\n"He said ""hi"", ok",de\nyes,en\n', ['He said "hi", ok', "yes"]),
        ("text;label\nHello, you;en\nBye, you, and you;en\n", ["Hello, you", "Bye, you, and you"]),
        ("text;score\nfoo;1,5\nbar;2,5\n", ["foo", "bar"]),
        ("text\nBonjour\nwas wie\n", ["Bonjour", "was wie"]),
        ("Label;Text\nde;Ja\nen;yes\n", ["Ja", "yes"]),
    ],
)
def test_columns_are_set_apart_as_the_table_does(
    text: str, rows: list[str], tmp_path: Path
) -> None:
    assert [item.text for item in load_items(write(tmp_path, "a.csv", text))] == rows


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.csv", "Guten Tag;de\nHello;en\n", [(1, "no_text")]),
        ("a.tsv", "Guten Tag\tde\nHello\ten\n", [(1, "no_text")]),
        ("a.txt", "Guten Tag\tde\nHello\ten\n", [(1, "no_text")]),
        ("notes", "Guten Tag\nHello\n", [(1, "unknown_form")]),
        ("a.log", "Guten Tag\nHello\n", [(1, "unknown_form")]),
        ("a.csv", b"\x1f\x8b\x08\0", [(1, "foreign_form")]),
        ("a.xlsx", b"PK\x03\x04....", [(1, "foreign_form")]),
        ("a.csv", "text,label\nFünf,de\n".encode("latin-1"), [(2, "encoding")]),
        ("a.json", '[{"text": "a"},\n{"text": "b"\n', [(2, "broken_json")]),
        ("a.json", '[{"text": "a"}] x', [(1, "broken_json")]),
        ("a.json", '[{"text": "a", "text": "b"}]', [(1, "duplicate_key")]),
        ("a.json", '[{"text": "\\ud800"}]', [(1, "encoding")]),
        ("a.json", '{"data": ', [(1, "broken_json")]),
        ("a.jsonl", "text without braces\n", [(1, "broken_json")]),
    ],
)
def test_what_is_not_clear_is_refused_in_words(
    name: str, data: str | bytes, told: list[tuple[int, str]], tmp_path: Path
) -> None:
    found = problems(write(tmp_path, name, data))
    assert [problem for problem in found if problem in told] == told


@pytest.mark.parametrize(
    "text",
    [
        "You are a clerk.\nSay: text, label.\n",
        "[Context]\nYou are a clerk; answer.\n",
        "{{ system }}\nAnswer\n",
        "Prompt, please\nand a text\n",
        "| text | label |\n| --- | --- |\n| a | b |\n",
    ],
)
def test_words_that_look_like_data_stay_a_text(text: str, tmp_path: Path) -> None:
    assert kind_of(write(tmp_path, "a.md", text)) == "text"
    found = list(read_records(tmp_path / "a.md"))
    assert [record.values["text"] for record in found if isinstance(record, Record)] == [
        line.strip() for line in text.splitlines()
    ]


def test_prompts_may_stand_in_a_table(tmp_path: Path) -> None:
    file = write(tmp_path, "a.csv", "prompt;answer\nWas ist 1,5 + 1?;2,5\nUnd 2?;3\n")
    assert [(p.text, p.answer, p.line) for p in load_prompts(file).prompts] == [
        ("Was ist 1,5 + 1?", "2,5", 2),
        ("Und 2?", "3", 3),
    ]


def test_most_lines_decide_the_kind_and_not_the_first(tmp_path: Path) -> None:
    asked = {"role": "user", "content": "a"}
    said = {"role": "assistant", "content": "b"}
    lines = [{"messages": [asked, said, asked]}] + [{"messages": [asked, said]}] * 3
    file = write(tmp_path, "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    assert kind_of(file) == "conversations"
    told = [f for f in lint_file(file, None, Ruler()).findings if f.severity == "error"]
    assert [(f.line, f.code) for f in told] == [(1, "no_completion")]


def test_elements_of_an_array_know_the_line_where_they_begin(tmp_path: Path) -> None:
    file = write(tmp_path, "a.json", '[\n {"text": "a"},\n {\n  "text": "b"}, {"text": "c"}\n]')
    assert [record.line for record in read_records(file)] == [2, 3, 4]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None
)
@given(
    data=st.one_of(
        st.binary(max_size=80),
        st.text(alphabet='{}[]",;\t\n\r :atext|\\1', max_size=80).map(str.encode),
    ),
    name=st.sampled_from(["a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a"]),
)
def test_any_bytes_are_read_or_refused_and_nothing_is_made_up(
    data: bytes, name: str, tmp_path: Path
) -> None:
    file = write(tmp_path, name, data)
    try:
        found = list(read_records(file))
    except DatasetError:
        return
    for record in found:
        assert record.line >= 1
        assert isinstance(record, BadLine) or isinstance(record.values, dict)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None
)
@given(
    texts=st.lists(
        st.text(alphabet="ab ,;\t|\"'\n\\é", min_size=1, max_size=12).filter(
            lambda text: text.strip() and "\\" not in text
        ),
        min_size=2,
        max_size=8,
    ),
    delimiter=st.sampled_from(",;\t|"),
)
def test_a_table_that_python_writes_comes_back(
    texts: list[str], delimiter: str, tmp_path: Path
) -> None:
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([["text", "label"], *([text, "x"] for text in texts)])
    found = [
        record.values for record in read_records(tmp_path / "a.csv") if isinstance(record, Record)
    ]
    assert found == [{"text": text, "label": "x"} for text in texts]
