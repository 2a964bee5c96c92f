"""Conversations keep their words and their extra keys in every form."""

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.datasets.conversion import Wanted, convert
from OnPolicyDistill.datasets.written_forms import Form
from OnPolicyDistill.errors import DatasetError, InputError

MESSAGES: dict[str, JsonValue] = {
    "messages": [{"role": "user", "content": "1 + 1"}, {"role": "assistant", "content": "Zwei ❤"}],
    "gold": "de",
    "source": {"id": 3},
}
EXTRAS = {"gold": "de", "source": {"id": 3}}
PAIR: dict[str, JsonValue] = {"prompt": "1 + 1", "completion": "Zwei ❤", **EXTRAS}
SHAREGPT: dict[str, JsonValue] = {
    "conversations": [{"from": "human", "value": "1 + 1"}, {"from": "gpt", "value": "Zwei ❤"}],
    **EXTRAS,
}
FORMS: dict[Form, dict[str, JsonValue]] = {
    "messages": MESSAGES,
    "prompt_completion": PAIR,
    "sharegpt": SHAREGPT,
}


def converted(folder: Path, form: Form, *lines: JsonValue) -> list[JsonValue]:
    source, target = folder / "in.jsonl", folder / f"{form}.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert convert(source, target, Wanted(form, "conversations")).num_lines == len(lines)
    return [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("source", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_every_other_and_gold_stays(
    source: dict[str, JsonValue], form: Form, tmp_path: Path
) -> None:
    assert converted(tmp_path, form, source, source) == [FORMS[form]] * 2


def test_the_same_conversation_is_read_from_every_form(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in FORMS.values()))
    first, second, third = (one.messages for one in load_conversations(file))
    assert first == second == third


def test_system_messages_and_further_keys_of_turns_survive_sharegpt(tmp_path: Path) -> None:
    turns = [{"from": "user", "value": "a"}, {"from": "model", "value": "b", "weight": 1}]
    line: JsonValue = {"system": "Be brief.", "conversations": turns}
    (messages,) = converted(tmp_path, "messages", line)
    assert messages == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "a"},
            {"weight": 1, "role": "assistant", "content": "b"},
        ]
    }


def test_reasoning_goes_into_the_completion(tmp_path: Path) -> None:
    named = {"role": "assistant", "content": "2", "reasoning_content": "hm"}
    line: JsonValue = {"messages": [{"role": "user", "content": "1 + 1"}, named]}
    (pair,) = converted(tmp_path, "prompt_completion", line)
    assert pair == {"prompt": "1 + 1", "completion": "<think>\nhm\n</think>\n\n2"}


QUESTION = {"role": "user", "content": "a"}
ANSWER = {"role": "assistant", "content": "b"}
PICTURE = {"role": "user", "content": [{"type": "image", "image": "a.png"}]}


@pytest.mark.parametrize(
    ("form", "line", "words"),
    [
        ("prompt_completion", {"messages": [QUESTION, ANSWER] * 2}, "more than one question"),
        ("prompt_completion", {"messages": [QUESTION, {**ANSWER, "name": "x"}]}, "has name"),
        ("sharegpt", {"messages": [PICTURE, ANSWER]}, "more than text"),
        ("sharegpt", {**PAIR, "prompt": 3}, "prompt is a number, not a text"),
        ("prompt_completion", {**MESSAGES, "prompt": "x"}, "has prompt beside"),
        ("messages", {"conversations": [{"from": "bing", "value": "x"}]}, "is from 'bing'"),
        ("messages", {"conversations": [{"from": "human", "value": "x"}]}, "no answer to learn"),
        ("messages", {"conversations": "x"}, "not a list with messages"),
        ("messages", [], "not an object"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line_and_nothing_is_written(
    form: Form, line: JsonValue, words: str, tmp_path: Path
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(value) + "\n" for value in (PAIR, line, line)))
    with pytest.raises(DatasetError, match=f"{words}.*1 more line") as caught:
        convert(source, target, Wanted(form, "conversations"))
    assert caught.value.line == 2
    assert not target.exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(json.dumps(PAIR) + "\n")
    with pytest.raises(InputError, match="there already"):
        convert(file, file, Wanted("messages"))
    with pytest.raises(InputError, match="no folder"):
        convert(file, tmp_path / "away" / "out.jsonl", Wanted("messages"))
