from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from OnPolicyDistill.datasets.labelled import (
    LabelledItem,
    load_items,
    parse_label,
    split_by_source,
    without_duplicates,
)
from OnPolicyDistill.errors import DatasetError

LABELS = ("ar", "de", "en", "zh", "ot")
PREFIX = "Final Answer:"


def written(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_plain_lines_are_texts_without_gold(tmp_path: Path) -> None:
    items = load_items(written(tmp_path, "a.txt", "\ufeffone\r\n\r\n  two, three \n"))
    assert items == [LabelledItem(0, "one"), LabelledItem(1, "two, three")]


def test_json_lines_name_text_gold_and_source(tmp_path: Path) -> None:
    lines = '{"sentence": "Hallo", "gold": "de", "source": 7, "n": 1}\n{"input": "x", "label": 3}'
    first, second = load_items(written(tmp_path, "a.jsonl", lines))
    assert first == LabelledItem(0, "Hallo", "de", "7", {"n": 1})
    assert (second.text, second.gold, second.source) == ("x", "3", None)


def test_a_csv_names_its_columns_or_has_one(tmp_path: Path) -> None:
    headed = load_items(written(tmp_path, "a.csv", 'Label,Text,x\nde,"Ja,\nnein",1\n\nen,yes,2\n'))
    assert [(item.text, item.gold) for item in headed] == [("Ja,\nnein", "de"), ("yes", "en")]
    assert headed[0].extra == {"x": "1"}
    bare = load_items(written(tmp_path, "b.csv", 'Ja\n"yes, sir"\n'))
    assert [(item.text, item.gold) for item in bare] == [("Ja", None), ("yes, sir", None)]
    with pytest.raises(DatasetError, match=r"the first line has: id, body\. Name the columns"):
        load_items(written(tmp_path, "c.csv", "id,body\n1,Bonjour\n"))


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.jsonl", '{"text": "x"}\n{"text": ', 2),
        ("a.jsonl", '{"text": "x"}\n\n{"label": "de"}', 3),
        ("a.jsonl", '{"text": "x", "label": ["de"]}', 1),
        ("a.jsonl", '{"text": 3}', 1),
        ("a.csv", 'text,label\n"x\ny",de\nz,de,en\n', 4),
        ("a.csv", 'text,label\nx,de\n"open,de\n', 3),
        ("a.txt", b"fine\n\xff\n", 2),
        ("a.txt", b"fine\nfine\nnul\0\n", 3),
    ],
)
def test_what_cannot_be_used_is_named_by_file_and_line(
    tmp_path: Path, name: str, text: str | bytes, line: int
) -> None:
    with pytest.raises(DatasetError) as caught:
        load_items(written(tmp_path, name, text))
    assert caught.value.line == line
    assert name in str(caught.value)


def test_a_missing_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        load_items(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match="no items"):
        load_items(written(tmp_path, "empty.txt", "\n \n"))


def test_of_equal_texts_the_first_with_gold_stays() -> None:
    items = [
        LabelledItem(0, "A  b"),
        LabelledItem(1, "c"),
        LabelledItem(2, "a b", "en"),
        LabelledItem(3, "a B", "de"),
    ]
    assert [item.index for item in without_duplicates(items)] == [1, 2]


@given(
    sources=st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=2, max_size=40),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
)
def test_no_source_is_on_both_sides_and_neither_is_empty(
    sources: list[str | None], share: float, seed: int
) -> None:
    items = [LabelledItem(i, f"text {i}", source=source) for i, source in enumerate(sources)]
    if None not in sources and len(set(sources)) == 1:
        with pytest.raises(DatasetError, match="one source"):
            split_by_source(items, share, seed)
        return
    rest, held_out = split_by_source(items, share, seed)
    assert rest
    assert held_out
    assert sorted(item.index for item in rest + held_out) == list(range(len(items)))
    assert not {i.source for i in rest if i.source} & {i.source for i in held_out if i.source}
    assert split_by_source(items, share, seed) == (rest, held_out)


def test_single_items_are_held_out_by_their_share() -> None:
    items = [LabelledItem(i, f"text {i}") for i in range(100)]
    rest, held_out = split_by_source(items, 0.25, 3)
    assert (len(rest), len(held_out)) == (75, 25)
    assert split_by_source(items, 0.25, 4)[1] != held_out


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("Final Answer: de", "de"),
        ("<think>Final Answer: en</think>\n\nFinal Answer: de", "de"),
        ("so</think>a</think> Final Answer: ar", "ar"),
        ("FINAL   answer: **De**.", "de"),
        ("**Final Answer:** `zh`", "zh"),
        ("**Final Answer**: zh", "zh"),
        ("Final Answer:\n\n  “ot”\nbecause", "ot"),
        ("Final Answer: en\nNo. Final Answer: de", "de"),
        (" 'EN'. ", "en"),
        ("final answer：zh", "zh"),
        ("**Final Answer**：\n zh", "zh"),
        ("Final Answer : zh", "zh"),
        (r"Final Answer: \boxed{en}", "en"),
        (r"So it is $\boxed{\text{de}}$.", "de"),
        (r"First \boxed{de}, no: \boxed{en}", "en"),
        ('{"label": "en"}', "en"),
        ('```json\n{"answer": "AR", "why": "de"}\n```', "ar"),
        ('Final Answer: {\n  "label": "en"\n}', "en"),
        ('{"language": "en"}', "en"),
        ("Final Answer: en (English)", "en"),
        ("Final Answer: zh（中文）。", "zh"),
        ("en (English)", "en"),
        ("Final Answer: en (de)", None),
        ("Final Answer: English (en)", None),
        (r"Final Answer: hmm, \boxed{xx}", None),
        ('{"label": "en", "answer": "de"}', None),
        ('{"first": "en", "second": "de"}', None),
        ('{"label": ["en"]}', None),
        ("Final Answer: English", None),
        ("Final Answer: en or de", None),
        ("Final Answer:", None),
        ("I think de", None),
        ("", None),
        ("<think>Final Answer: de", None),
        ("a</think><think>Final Answer: de", None),
        ("Final Answer: de\nFinal Answer: hmm", None),
    ],
)
def test_a_label_is_read_from_the_answer_alone(reply: str, label: str | None) -> None:
    assert parse_label(reply, LABELS, PREFIX) == label


def test_labels_keep_their_own_signs_and_case() -> None:
    assert parse_label("Answer: **", ("*", "**", "***"), "Answer:") == "**"
    assert parse_label("a", ("A", "a"), "") == "a"
    assert parse_label("'A'", ("A", "a"), "") is None
    assert parse_label("c++", ("C", "C++", "C#"), PREFIX) == "C++"


@given(reply=st.text(), labels=st.lists(st.text()), prefix=st.text())
def test_any_text_is_read_as_a_label_or_none(reply: str, labels: list[str], prefix: str) -> None:
    assert parse_label(reply, labels, prefix) in (None, *labels)


@given(label=st.sampled_from(LABELS), noise=st.text(alphabet="\n \"'*`.!", max_size=6))
def test_wrapping_never_changes_a_label(label: str, noise: str) -> None:
    quiet = noise.replace("\n", "")
    assert parse_label(f"{PREFIX} {quiet}{label.upper()}{noise}", LABELS, PREFIX) == label
