"""Answers as each known family would have to generate them, in every way they can be written."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from OnPolicyDistill.datasets.assistant_turns import (
    Turn,
    assistant_turns,
    split_reasoning,
    without_reasoning,
)
from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.prompts import Message
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.embedded import CHAT_TEMPLATE

TEMPLATES = Path(__file__).parents[1] / "data" / "chat_templates"
SPECIAL = {"bos_token": "<bos>", "eos_token": "<|endoftext|>"}


@dataclass(frozen=True)
class Family:
    """What a family's models generate for an answer `Two` with and without reasoning `hm`."""

    end: str
    plain: str
    thought: str
    shows_reasoning: bool = False


IM_END = "<|im_end|>"
FAMILIES = {
    "tiny": Family(IM_END, "Two", "<think>\nhm\n</think>\n\nTwo", True),
    "qwen2.5": Family(IM_END, "Two", "<think>\nhm\n</think>\n\nTwo", True),
    "qwen3-instruct-2507": Family(IM_END, "Two", "<think>\nhm\n</think>\n\nTwo", True),
    "phi-3.5": Family("<|end|>", "Two", "<think>\nhm\n</think>\n\nTwo", True),
    # Thinks when it is not told otherwise; without a thought it has to skip thinking itself.
    "qwen3": Family(IM_END, "<think>\n\n</think>\n\nTwo", "<think>\nhm\n</think>\n\nTwo"),
    # <think> is opened by the template, so it is prompt.
    "qwen3-thinking-2507": Family(IM_END, "\n</think>\n\nTwo", "hm\n</think>\n\nTwo"),
    "r1-distill": Family("<｜end▁of▁sentence｜>", "\n</think>\n\nTwo", "hm\n</think>\n\nTwo"),
}
END_TEXTS = ("<|endoftext|>", IM_END, "<|end|>", "<｜end▁of▁sentence｜>")

USER: Message = {"role": "user", "content": "1"}
PLAIN: Message = {"role": "assistant", "content": "Two"}
INLINE: Message = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nTwo"}
NAMED: Message = {"role": "assistant", "content": "Two", "reasoning_content": "hm"}
SYSTEM: Message = {"role": "system", "content": "Be brief."}


def load(name: str, folder: Path) -> ChatTemplate:
    source = CHAT_TEMPLATE if name == "tiny" else (TEMPLATES / f"{name}.jinja").read_text("utf-8")
    (folder / "chat_template.jinja").write_text(source, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(SPECIAL))
    return ChatTemplate.load(folder)


def test_every_known_template_is_tested_here() -> None:
    assert {file.stem for file in TEMPLATES.glob("*.jinja")} | {"tiny"} == set(FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("history", [[USER], [SYSTEM, USER]], ids=["user", "system"])
def test_an_answer_is_what_is_generated_behind_its_prompt(
    name: str, history: list[Message], tmp_path: Path
) -> None:
    template, family = load(name, tmp_path), FAMILIES[name]
    for message, expected in (
        (PLAIN, family.plain),
        (INLINE, family.thought),
        (NAMED, family.thought),
        (without_reasoning(INLINE), family.plain),
        (without_reasoning(NAMED), family.plain),
    ):
        turns = assistant_turns(template, [*history, message], END_TEXTS)
        assert turns == [Turn(template.render(history), expected + family.end)]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("message", [PLAIN, INLINE, NAMED], ids=["plain", "inline", "named"])
def test_each_answer_of_many_stands_behind_the_history_that_is_shown_then(
    name: str, message: Message, tmp_path: Path
) -> None:
    template, family = load(name, tmp_path), FAMILIES[name]
    messages = [SYSTEM, USER, message, USER, message, USER, message]
    turns = assistant_turns(template, messages, END_TEXTS)
    expected = family.plain if message is PLAIN else family.thought
    assert [turn.completion for turn in turns] == [expected + family.end] * 3
    assert [turn.prompt for turn in turns] == [template.render(messages[:i]) for i in (2, 4, 6)]
    goes_on = turns[1].prompt.startswith(turns[0].prompt + turns[0].completion)
    # Reasoning under a key of its own is hidden by templates that do not know the key.
    assert goes_on == (family.shows_reasoning and message is not NAMED)


@pytest.mark.parametrize("name", ["qwen3", "qwen3-thinking-2507", "r1-distill"])
def test_reasoning_of_earlier_answers_is_no_prompt_of_later_ones(name: str, tmp_path: Path) -> None:
    turns = assistant_turns(load(name, tmp_path), [USER, INLINE, USER, INLINE], END_TEXTS)
    assert "hm" in turns[0].completion
    assert "hm" not in turns[1].prompt


def test_a_template_that_names_no_end_token_ends_where_it_ends(tmp_path: Path) -> None:
    turns = assistant_turns(load("phi-3.5", tmp_path), [USER, PLAIN], ())
    assert turns[0].completion == "Two<|end|>\n<|endoftext|>"


def test_a_template_without_answers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}")
    with pytest.raises(ModelError, match="leaves out what the assistant says"):
        assistant_turns(ChatTemplate.load(tmp_path), [USER, PLAIN], END_TEXTS)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (PLAIN, ("", "Two")),
        (INLINE, ("hm", "Two")),
        (NAMED, ("hm", "Two")),
        ({"role": "assistant", "content": "Two", "thinking": "hm"}, ("hm", "Two")),
        ({"role": "assistant", "content": "hm</think>\nTwo"}, ("hm", "Two")),
        ({"role": "assistant", "content": "Write <think>a</think>."}, ("", None)),
        ({"role": "assistant", "content": "<think>unfinished"}, ("", None)),
        ({"role": "assistant", "content": "Two", "reasoning_content": ""}, ("", "Two")),
    ],
)
def test_reasoning_is_told_from_the_answer(
    message: Message, expected: tuple[str, str | None]
) -> None:
    reasoning, answer = expected
    whole = message["content"] if answer is None else answer
    assert split_reasoning(message) == (reasoning, whole)


def test_taking_reasoning_out_leaves_everything_else() -> None:
    message = {**NAMED, "name": "tutor"}
    plain = {"role": "assistant", "content": "Two", "name": "tutor"}
    assert without_reasoning(message) == plain
    question: Message = {"role": "user", "content": "What does </think> do?"}
    assert without_reasoning(question) is question
