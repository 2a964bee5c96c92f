"""Conversation files, line by line: what cannot be used, what is there twice, what leaks."""

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.kinds import kind_of
from OnPolicyDistill.datasets.linter import Ruler

PAIR: JsonValue = {"prompt": "Hello", "completion": "Hi"}
SAME: JsonValue = {
    "conversations": [{"from": "human", "value": "Hello"}, {"from": "gpt", "value": "Hi"}]
}
OTHER: JsonValue = {"prompt": "Bye", "completion": "Hi"}


def write(file: Path, *lines: JsonValue) -> Path:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_the_same_conversation_in_another_form_is_a_duplicate(tmp_path: Path) -> None:
    report = lint_conversations(write(tmp_path / "a.jsonl", PAIR, OTHER, SAME), None, Ruler())
    assert report.verdict == "warning"
    assert [(found.line, found.code) for found in report.findings] == [(3, "duplicate")]
    assert (report.num_prompts, report.num_lines) == (3, 3)


def test_lines_that_cannot_be_learned_are_errors(tmp_path: Path) -> None:
    bad: JsonValue = {"messages": [{"role": "user", "content": "Hello"}]}
    report = lint_conversations(write(tmp_path / "a.jsonl", PAIR, bad, "x"), None, Ruler())
    assert report.verdict == "error"
    assert [found.line for found in report.findings] == [2, 3]
    empty = lint_conversations(write(tmp_path / "b.jsonl"), None, Ruler())
    assert [found.code for found in empty.findings] == ["no_conversations"]


def test_held_out_conversations_that_are_trained_on_are_reported(tmp_path: Path) -> None:
    training = write(tmp_path / "a.jsonl", PAIR, OTHER)
    report = lint_conversations(write(tmp_path / "b.jsonl", SAME), training, Ruler())
    assert report.num_leaked == 1


def test_a_template_that_refuses_a_conversation_is_told(tmp_path: Path) -> None:
    refuses = "{{ raise_exception('no') if messages | length > 2 else 'x' }}"
    (tmp_path / "chat_template.jinja").write_text(refuses)
    long: JsonValue = {"system": "Be brief.", **json.loads(json.dumps(SAME))}
    file = write(tmp_path / "a.jsonl", PAIR, long)
    report = lint_conversations(file, None, Ruler(template=ChatTemplate.load(tmp_path)))
    assert [(found.line, found.code) for found in report.findings] == [(2, "template_refuses")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (PAIR, True),
        (SAME, True),
        ({"messages": [{"role": "user"}, {"role": "assistant"}]}, True),
        ({"messages": [{"role": "user", "content": "a"}]}, False),
        ({"messages": [3]}, False),
        ({"prompt": "a", "answer": "b"}, False),
        ("x", False),
    ],
)
def test_a_file_of_conversations_is_told_from_one_of_prompts(
    line: JsonValue, expected: bool, tmp_path: Path
) -> None:
    kind = kind_of(write(tmp_path / "a.jsonl", line))
    assert kind == ("conversations" if expected else "prompts")


def test_conversations_that_a_run_leaves_out_are_told(tmp_path: Path) -> None:
    long: JsonValue = {"prompt": "Hello", "completion": "Hi " * 20}
    ruler = Ruler(max_prompt_tokens=10)
    report = lint_conversations(write(tmp_path / "a.jsonl", PAIR, long), None, ruler)
    assert [(found.line, found.code) for found in report.findings] == [(2, "too_long")]
    assert report.verdict == "warning"
