"""Content, tools and turns are read the same way wherever messages stand."""

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from OnPolicyDistill.datasets.assistant_turns import assistant_turns
from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.conversations import Conversation, conversation_of
from OnPolicyDistill.datasets.linter import Ruler
from OnPolicyDistill.datasets.prompts import Prompt, prompt_of
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.errors import DatasetError

TEMPLATES = Path(__file__).parents[1] / "data" / "chat_templates"
ASKED = {"role": "user", "content": "Weather?"}
SAID = {"role": "assistant", "content": "9 C."}
TOOLS = [{"type": "function", "function": {"name": "weather"}}]
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a": "K"}'}}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "9 C"}


def read(*messages: JsonValue, **more: JsonValue) -> Conversation | BadLine:
    return conversation_of(Record(1, {"messages": list(messages), **more}))


def template(folder: Path, source: str) -> ChatTemplate:
    (folder / "chat_template.jinja").write_text(source)
    return ChatTemplate.load(folder)


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "9 "}, {"type": "text", "text": "C."}],
        ["9 ", "C."],
        ["9 C."],
        [{"text": "9 C."}],
        [{"type": "output_text", "text": "9 C."}],
    ],
)
def test_parts_of_words_are_their_text(content: JsonValue) -> None:
    found = read({**ASKED, "content": ["Weather?"]}, {**SAID, "content": content})
    assert isinstance(found, Conversation)
    assert [message["content"] for message in found.messages] == ["Weather?", "9 C."]
    prompt = prompt_of(Record(1, {"messages": [{**ASKED, "content": content}]}), 0)
    assert isinstance(prompt, Prompt)
    assert prompt.messages[0]["content"] == "9 C."


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (4, "is a number, not a text"),
        (True, "is true or false"),
        ({"text": "a"}, "is an object"),
        (None, "has no content"),
        ([{"type": "input_audio", "input_audio": {}}], "is input_audio, neither words nor"),
        ([{"type": "text"}], "neither words nor"),
        ([5], "is a number, neither words nor"),
        ([["a"]], "is a list, neither words nor"),
    ],
)
def test_other_content_is_refused_as_what_it_is(content: JsonValue, words: str) -> None:
    for found in (
        read(ASKED, {**SAID, "content": content}),
        prompt_of(Record(7, {"messages": [{**ASKED, "content": content}]}), 0),
    ):
        assert isinstance(found, BadLine)
        assert words in found.message


def test_a_template_never_gets_a_list_of_words(tmp_path: Path) -> None:
    plain = template(tmp_path, "{% for m in messages %}{{ m.content | trim }}|{% endfor %}")
    assert plain.render([{**ASKED, "content": [{"type": "text", "text": "a"}, "b"]}]) == "ab|"
    with pytest.raises(DatasetError, match="neither words nor a picture"):
        plain.render([{**ASKED, "content": [{"type": "video"}]}])


@pytest.mark.parametrize("content", ["", None, "I look."])
def test_a_turn_may_be_nothing_but_calls(content: JsonValue) -> None:
    calls = {"role": "assistant", "content": content, "tool_calls": [CALL]}
    found = read(ASKED, calls, RESULT, SAID, tools=TOOLS)
    assert isinstance(found, Conversation)
    assert found.messages[1]["content"] == (content or "")
    assert found.tools == tuple(TOOLS)
    bare = {key: value for key, value in calls.items() if key != "content"}
    assert isinstance(read(ASKED, bare), Conversation)
    assert isinstance(read(ASKED, {**calls, "content": "", "tool_calls": []}), BadLine)


@pytest.mark.parametrize(
    ("tools", "number"), [(json.dumps(TOOLS), 1), ("[]", 0), ("", 0), (None, 0), ([], 0)]
)
def test_tools_may_be_written_as_json_in_a_text(tools: JsonValue, number: int) -> None:
    found = read(ASKED, SAID, tools=tools)
    assert isinstance(found, Conversation)
    assert len(found.tools) == number
    prompt = prompt_of(Record(1, {"messages": [ASKED], "tools": tools}), 0)
    assert isinstance(prompt, Prompt)
    assert len(prompt.tools) == number


@pytest.mark.parametrize("tools", ["weather", 5, {"name": "weather"}, ["weather"]])
def test_what_is_no_list_of_tools_is_refused(tools: JsonValue) -> None:
    for found in (
        read(ASKED, SAID, tools=tools),
        prompt_of(Record(1, {"messages": [ASKED], "tools": tools}), 0),
    ):
        assert isinstance(found, BadLine)
        assert "tools is not" in found.message


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("{{ c.function.arguments | tojson }}", '{"a": "K"}'),
        ("{{ c.function.arguments }}", '{"a": "K"}'),
        (
            "{% if c.function.arguments is string %}{{ c.function.arguments }}{% else %}"
            "{{ c.function.arguments | tojson }}{% endif %}",
            '{"a": "K"}',
        ),
    ],
)
@pytest.mark.parametrize("arguments", ['{"a": "K"}', {"a": "K"}])
def test_arguments_are_written_as_json_once(
    written: str, wanted: str, arguments: JsonValue, tmp_path: Path
) -> None:
    source = "{% for m in messages %}{% for c in m.tool_calls or [] %}" + written
    chat = template(tmp_path, source + "{% endfor %}{% endfor %}")
    call = {**CALL, "function": {"name": "weather", "arguments": arguments}}
    assert chat.render([ASKED, {"role": "assistant", "tool_calls": [call]}]) == wanted


TOOL_TEMPLATE = """
{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}{% endfor %}<|im_end|>
{% endif %}
{%- for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}
{%- for c in m.tool_calls or [] %}<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def test_calls_and_tools_reach_the_template(tmp_path: Path) -> None:
    chat = template(tmp_path, TOOL_TEMPLATE)
    found = read(ASKED, {"role": "assistant", "tool_calls": [CALL]}, RESULT, SAID, tools=TOOLS)
    assert isinstance(found, Conversation)
    turns = assistant_turns(chat, found.messages, ["<|im_end|>"], found.tools)
    assert '{"type": "function", "function": {"name": "weather"}}' in turns[0].prompt
    assert turns[0].completion == (
        '<tool_call>\n{"name": "weather", "arguments": {"a": "K"}}\n</tool_call><|im_end|>'
    )
    assert turns[1].prompt.startswith(turns[0].prompt + turns[0].completion)
    assert turns[1].completion == "9 C.<|im_end|>"


def test_a_template_that_leaves_calls_out_is_said_and_refused(tmp_path: Path) -> None:
    source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<|im_end|>{% endfor %}"
    chat = template(tmp_path, source)
    calls = {"role": "assistant", "content": "I look.", "tool_calls": [CALL]}
    found = read(ASKED, calls, RESULT, SAID)
    assert isinstance(found, Conversation)
    with pytest.raises(DatasetError, match="leaves out what the assistant calls"):
        assistant_turns(chat, found.messages, ["<|im_end|>"])
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"messages": [ASKED, calls, RESULT, SAID]}) + "\n")
    codes = [told.code for told in lint_conversations(file, None, Ruler(template=chat)).findings]
    assert "template_refuses" in codes


@pytest.mark.parametrize("mark", [{"weight": 0}, {"weight": 0.0}, {"train": False}])
def test_a_turn_that_says_no_is_read_and_not_learned(
    mark: dict[str, JsonValue], tmp_path: Path
) -> None:
    chat = template(tmp_path, (TEMPLATES / "qwen2.5.jinja").read_text())
    found = read(ASKED, {**SAID, **mark}, ASKED, {**SAID, "weight": 1, "train": True})
    assert isinstance(found, Conversation)
    turns = assistant_turns(chat, found.messages, ["<|im_end|>"])
    assert [turn.is_learned for turn in turns] == [False, True]
    assert turns[1].prompt.startswith(turns[0].prompt + turns[0].completion)
    alone = read(ASKED, {**SAID, **mark})
    assert isinstance(alone, BadLine)
    assert "No answer" in alone.message


@pytest.mark.parametrize("mark", [{"weight": 0.5}, {"weight": "0"}, {"train": 0}])
def test_other_weights_are_refused(mark: dict[str, JsonValue]) -> None:
    found = read(ASKED, {**SAID, **mark})
    assert isinstance(found, BadLine)
    assert found.code == "wrong_weight"


@pytest.mark.parametrize(
    ("speaker", "role"),
    [
        ("tool", "tool"),
        ("function", "tool"),
        ("observation", "tool"),
        ("developer", "developer"),
        ("gpt", "assistant"),
    ],
)
def test_sharegpt_speakers_have_roles(speaker: str, role: str) -> None:
    turns: JsonValue = [
        {"from": "human", "value": "a"},
        {"from": speaker, "value": "b"},
        {"from": "gpt", "value": "c"},
    ]
    found = conversation_of(Record(1, {"conversations": turns}))
    assert isinstance(found, Conversation)
    assert [message["role"] for message in found.messages] == ["user", role, "assistant"]


def test_a_function_call_of_sharegpt_is_a_call_or_words() -> None:
    def said(value: str) -> dict[str, JsonValue]:
        turns: JsonValue = [
            {"from": "human", "value": "a"},
            {"from": "function_call", "value": value},
        ]
        found = conversation_of(Record(1, {"conversations": turns, "tools": "[]"}))
        assert isinstance(found, Conversation)
        return found.messages[-1]

    call = {"name": "weather", "arguments": {"a": "K"}}
    assert said(json.dumps(call))["tool_calls"] == [{"type": "function", "function": call}]
    assert (
        said(json.dumps([call, call]))["tool_calls"] == [{"type": "function", "function": call}] * 2
    )
    assert said("<call> weather")["content"] == "<call> weather"


def test_turns_of_sharegpt_may_have_role_and_content() -> None:
    found = conversation_of(Record(1, {"conversations": [ASKED, SAID]}))
    assert isinstance(found, Conversation)
    assert found.messages == (ASKED, SAID)


def test_prompt_and_completion_may_be_lists_of_messages() -> None:
    values: dict[str, JsonValue] = {"prompt": [ASKED], "completion": [SAID]}
    found = conversation_of(Record(1, values))
    assert isinstance(found, Conversation)
    assert found.messages == (ASKED, SAID)
    prompt = prompt_of(Record(1, {"prompt": [ASKED], "answer": "9"}), 0)
    assert isinstance(prompt, Prompt)
    assert (prompt.messages, prompt.answer) == ((ASKED,), "9")
    number = conversation_of(Record(1, {"prompt": "a", "completion": 0}))
    assert isinstance(number, BadLine)
    assert number.message == "completion is a number, not a text."
