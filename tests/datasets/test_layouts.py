"""Public data sets become conversations, prompts or inputs; what they say beside that is kept."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from OnPolicyDistill.datasets.conversations import Conversation, load_conversations
from OnPolicyDistill.datasets.conversion import Converted, Wanted, convert, guess_layout
from OnPolicyDistill.datasets.kinds import kind_of, lint_file
from OnPolicyDistill.datasets.linter import Ruler
from OnPolicyDistill.datasets.mapping import parse_mapping
from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.datasets.written_forms import Form
from OnPolicyDistill.errors import DatasetError, InputError

Line = dict[str, JsonValue]


def write(folder: Path, *lines: JsonValue, name: str = "in.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def made(source: Path, wanted: Wanted | None = None) -> tuple[Converted, list[Line]]:
    target = source.parent / "out.jsonl"
    target.unlink(missing_ok=True)
    done = convert(source, target, wanted or Wanted())
    written = target.read_text(encoding="utf-8").removesuffix("\n")
    return done, [json.loads(line) for line in written.split("\n")]


def turns(*words: str, system: str | None = None) -> list[JsonValue]:
    start: list[JsonValue] = [] if system is None else [{"role": "system", "content": system}]
    roles = ("user", "assistant")
    said = [{"role": roles[n % 2], "content": text} for n, text in enumerate(words)]
    return [*start, *said]


SQUAD_FLAT: Line = {
    "id": "1",
    "context": "Kiel is wet.",
    "question": "How is Kiel?",
    "answers": {"text": ["wet", "is wet"], "answer_start": [8, 5]},
}
LINES: dict[str, tuple[Line, list[JsonValue], Line]] = {
    "alpaca": (
        {"instruction": "Name one.", "input": "fruit", "output": "Fig", "id": 3},
        turns("Name one.\n\nfruit", "Fig"),
        {"id": 3},
    ),
    "dolly": (
        {"instruction": "Who?", "context": "Ann ran.", "response": "Ann", "category": "qa"},
        turns("Who?\n\nAnn ran.", "Ann"),
        {"category": "qa"},
    ),
    "gsm8k": (
        {"question": "1 + 1?", "answer": "It is 1+1=<<1+1=2>>2.\n#### 2"},
        turns("1 + 1?", "It is 1+1=2.\n#### 2"),
        {},
    ),
    "guanaco": (
        {"text": "### Human: Hi### Assistant: Ho### Human: And?### Assistant: So"},
        turns("Hi", "Ho", "And?", "So"),
        {},
    ),
    "squad": (SQUAD_FLAT, turns("Kiel is wet.\n\nHow is Kiel?", "wet"), {"id": "1"}),
    "ultrafeedback": (
        {
            "source": "x",
            "instruction": "Say a.",
            "models": ["m", "n"],
            "completions": [
                {"response": "b", "overall_score": 3.0},
                {"response": "a", "overall_score": 8.5},
            ],
        },
        turns("Say a.", "a"),
        {"source": "x"},
    ),
    "preference": (
        {"system": "Be kind.", "question": "Hi", "chosen": "Hello", "rejected": "Go"},
        turns("Hi", "Hello", system="Be kind."),
        {"rejected": "Go"},
    ),
}


@pytest.mark.parametrize("layout", LINES)
def test_a_layout_is_guessed_said_and_converted(layout: str, tmp_path: Path) -> None:
    line, messages, extras = LINES[layout]
    source = write(tmp_path, line, line)
    assert guess_layout(source).layout == layout
    done, lines = made(source)
    assert (done.layout, done.form, done.num_lines, done.num_left_out) == (
        layout,
        "messages",
        2,
        0,
    )
    assert lines == [{"messages": messages, **extras}] * 2
    assert len(load_conversations(tmp_path / "out.jsonl")) == 2


@pytest.mark.parametrize("layout", LINES)
def test_before_it_is_converted_a_layout_is_named_with_what_to_do(
    layout: str, tmp_path: Path
) -> None:
    source = write(tmp_path, *[LINES[layout][0]] * 12)
    assert kind_of(source) == "conversations"
    (told,) = (f for f in lint_file(source, None, Ruler()).findings if f.line is not None)
    assert f"layout of {layout}" in told.message
    assert "opd data convert" in told.fix
    assert (told.num_lines, told.lines) == (12, tuple(range(1, 11)))
    with pytest.raises(DatasetError, match=f"layout of {layout}"):
        load_conversations(source)


@pytest.mark.parametrize(
    ("line", "messages"),
    [
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, turns("a", "b")),
        (
            {"prompt": "a", "chosen": turns("a", "b"), "rejected": turns("a", "c")},
            turns("a", "b"),
        ),
        (
            {"prompt": turns("a"), "chosen": turns("x", "b")[1:], "rejected": []},
            turns("a", "b"),
        ),
        ({"chosen": turns("a", "b"), "rejected": turns("a", "c")}, turns("a", "b")),
        (
            {"chosen": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d", "rejected": ""},
            turns("a", "b", "c", "d"),
        ),
    ],
)
def test_of_preferences_the_chosen_one_is_learned(
    line: Line, messages: list[JsonValue], tmp_path: Path
) -> None:
    assert made(write(tmp_path, line))[1][0]["messages"] == messages


def test_alpaca_may_have_a_system_message_and_a_history(tmp_path: Path) -> None:
    line: Line = {
        "instruction": "And?",
        "input": "",
        "output": "So",
        "system": "S",
        "history": [["Hi", "Ho"]],
    }
    assert made(write(tmp_path, line))[1] == [
        {"messages": turns("Hi", "Ho", "And?", "So", system="S")}
    ]


def test_the_published_file_of_squad_is_read_question_by_question(tmp_path: Path) -> None:
    questions = [
        {"id": "1", "question": "How?", "answers": [{"text": "wet"}], "is_impossible": False},
        {"id": "2", "question": "Why?", "answers": [], "is_impossible": True},
        {"id": "3", "question": "Where?", "answers": [{"text": "Kiel"}]},
    ]
    article = {"title": "Kiel", "paragraphs": [{"context": "Kiel is wet.", "qas": questions}]}
    source = tmp_path / "in.json"
    source.write_text(json.dumps({"version": "2.0", "data": [article, article]}))
    done, lines = made(source)
    assert (done.layout, done.num_lines) == ("squad", 4)
    assert [line["messages"] for line in lines[:2]] == [
        turns("Kiel is wet.\n\nHow?", "wet"),
        turns("Kiel is wet.\n\nWhere?", "Kiel"),
    ]
    assert lines[0]["title"] == "Kiel"


def test_lines_without_an_answer_are_left_out_and_counted(tmp_path: Path) -> None:
    empty: Line = {**SQUAD_FLAT, "answers": {"text": [], "answer_start": []}}
    done, lines = made(write(tmp_path, SQUAD_FLAT, empty, empty))
    assert (len(lines), done.num_left_out) == (1, 2)
    blank: Line = {"instruction": "a", "input": "", "output": ""}
    done, lines = made(write(tmp_path, LINES["alpaca"][0], blank))
    assert (len(lines), done.num_left_out) == (1, 1)


def spoken(number: str, parent: str | None, text: str, rank: int | None = None) -> Line:
    role = "prompter" if text[0] == "q" else "assistant"
    line: Line = {"message_id": number, "parent_id": parent, "text": text, "role": role}
    return {**line, "rank": rank, "lang": "en"}


def test_a_message_a_line_of_openassistant_becomes_the_best_conversation(tmp_path: Path) -> None:
    lines = [
        spoken("1", None, "q1"),
        spoken("3", "1", "a worse", 1),
        spoken("2", "1", "a better", 0),
        spoken("4", "2", "q2"),
        spoken("5", "4", "a end"),
        spoken("6", "5", "q unanswered"),
        spoken("9", None, "q alone"),
    ]
    done, found = made(write(tmp_path, *lines))
    assert (done.layout, done.num_lines, done.num_left_out) == ("openassistant", 1, 1)
    assert found == [{"messages": turns("q1", "a better", "q2", "a end"), "lang": "en"}]


def test_a_tree_a_line_of_openassistant_becomes_the_same(tmp_path: Path) -> None:
    replies = [
        {"text": "a deleted", "role": "assistant", "rank": 0, "deleted": True, "replies": []},
        {"text": "a better", "role": "assistant", "rank": 1, "replies": []},
        {"text": "a unranked", "role": "assistant", "replies": []},
    ]
    tree: Line = {
        "message_tree_id": "1",
        "prompt": {"text": "q1", "role": "prompter", "replies": replies},
    }
    assert made(write(tmp_path, tree))[1] == [
        {"message_tree_id": "1", "messages": turns("q1", "a better")}
    ]


def test_problems_become_prompts_with_the_number_they_end_with(tmp_path: Path) -> None:
    line: Line = {"question": "All?", "answer": "Many.\n#### 1,234"}
    made(write(tmp_path, line), Wanted("prompts"))
    (prompt,) = load_prompts(tmp_path / "out.jsonl").prompts
    assert (prompt.text, prompt.answer) == ("All?", "1234")


def test_columns_of_unknown_names_are_named_by_hand(tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("id;Frage;Antwort\n1;Was ist, das?;Ein Haus\n", encoding="utf-8")
    guess = guess_layout(file, {"prompt": "Frage"})
    assert (guess.layout, guess.columns) == ("prompts", ("id", "antwort", "prompt"))
    wanted = Wanted(mapping=parse_mapping(["prompt=Frage", "completion=Antwort"]))
    done, lines = made(file, wanted)
    assert done.layout == "conversations"
    assert lines == [{"messages": turns("Was ist, das?", "Ein Haus"), "id": "1"}]
    with pytest.raises(DatasetError, match="no wer, which is to be its prompt"):
        made(file, Wanted("prompts", mapping=parse_mapping(["prompt=wer", "answer=Antwort"])))


def test_a_table_without_names_has_numbers(tmp_path: Path) -> None:
    file = tmp_path / "in.csv"
    file.write_text("de;Guten Tag\nen;Hello\n", encoding="utf-8")
    done, lines = made(file, Wanted(mapping=parse_mapping(["text=2", "label=1"])))
    assert (done.layout, done.form) == ("inputs", "inputs")
    assert lines == [{"text": "Guten Tag", "label": "de"}, {"text": "Hello", "label": "en"}]


def test_a_system_column_stands_before_the_prompt(tmp_path: Path) -> None:
    source = write(tmp_path, {"s": "Be brief.", "q": "Hi", "a": "Ho"})
    mapping = parse_mapping(["system=s", "prompt=q", "completion=a"])
    assert made(source, Wanted(mapping=mapping))[1] == [
        {"messages": turns("Hi", "Ho", system="Be brief.")}
    ]


@pytest.mark.parametrize("pair", ["prompt", "prompt=", "colour=red", "=x"])
def test_what_names_no_column_is_refused(pair: str) -> None:
    with pytest.raises(InputError, match="does not say what a column is"):
        parse_mapping([pair])


def test_a_layout_that_nobody_knows_is_told_with_its_columns(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"its lines have: frage, antwort.*--map prompt=NAME"):
        made(write(tmp_path, {"frage": "a", "antwort": "b"}))
    with pytest.raises(DatasetError, match="is not alpaca; it has: prompt"):
        made(write(tmp_path, {"prompt": "a"}), Wanted(layout="alpaca"))
    with pytest.raises(DatasetError, match="input is no text"):
        made(write(tmp_path, {"instruction": "a", "input": 5, "output": "b"}))


WORDS = st.text(min_size=1, max_size=12).filter(lambda text: text.strip() and "<think" not in text)
CALLS = st.lists(
    st.fixed_dictionaries(
        {"function": st.fixed_dictionaries({"name": WORDS, "arguments": st.just("{}")})}
    ),
    max_size=2,
)
TURN = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": WORDS},
    optional={"weight": st.sampled_from([0, 1]), "train": st.booleans(), "tool_calls": CALLS},
)
OTHER = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "tool", "developer", "system"]), "content": WORDS},
    optional={"name": WORDS},
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(before=st.lists(st.one_of(OTHER, TURN), min_size=1, max_size=5), extra=WORDS)
@pytest.mark.parametrize("form", ["messages", "sharegpt"])
def test_what_is_written_in_a_form_is_read_again(
    form: Form, before: list[Line], extra: str, tmp_path: Path
) -> None:
    last: Line = {"role": "assistant", "content": "end"}
    line: Line = {"messages": [*before, last], "extra": extra, "tools": [{"type": "function"}]}
    source = write(tmp_path, line)
    (wanted,) = load_conversations(source)
    _, (written,) = made(source, Wanted(form))
    assert written["extra"] == extra
    (found,) = load_conversations(tmp_path / "out.jsonl")
    assert found == wanted
    (tmp_path / "out.jsonl").replace(source)
    made(source, Wanted("messages"))
    assert load_conversations(tmp_path / "out.jsonl") == (wanted,)
    assert isinstance(wanted, Conversation)
