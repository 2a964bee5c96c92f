"""Conversations written in a form; what a form cannot hold is said instead of left out.

messages           {"messages": [{"role": "user", "content": "..."}, ...]}
prompt_completion  {"prompt": "...", "completion": "..."}: one question, one answer, nothing before
sharegpt           {"conversations": [{"from": "human", "value": "..."}, ...]}
prompts            {"prompt": "...", "answer": "..."}: what is asked last, and its answer
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from OnPolicyDistill.datasets.assistant_turns import CLOSES, OPENS, split_reasoning
from OnPolicyDistill.datasets.chat_template import REASONING_KEYS
from OnPolicyDistill.datasets.conversations import Conversation
from OnPolicyDistill.datasets.messages import Message, calls_tools
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.datasets.records import BadLine

Form = Literal["messages", "prompt_completion", "sharegpt", "prompts", "inputs"]
FORMS: tuple[Form, ...] = ("messages", "prompt_completion", "sharegpt", "prompts", "inputs")

SPEAKERS = {"user": "human", "assistant": "gpt"}
MESSAGE_KEYS = {"role", "content", *REASONING_KEYS}


def written(conversation: Conversation, form: Form) -> dict[str, JsonValue] | BadLine:
    """The conversation's own keys in a form, or why it does not fit."""
    messages = conversation.messages
    if conversation.pictures:
        text = "The conversation has pictures, so it holds more than text."
        fix = "Only lines that have messages already can be converted to messages."
        return BadLine(conversation.line, "not_text", text, fix)
    if form == "messages":
        return {"messages": [dict(message) for message in messages]}
    if form == "sharegpt":
        return {"conversations": [_spoken(message) for message in messages]}
    if form == "prompts":
        return _prompt(conversation)
    return _pair(conversation)


def _pair(conversation: Conversation) -> dict[str, JsonValue] | BadLine:
    messages, line = conversation.messages, conversation.line
    if [message["role"] for message in messages] != ["user", "assistant"]:
        text = "The conversation is more than one question and its answer."
        return BadLine(line, "many_turns", text, "Convert it to messages or sharegpt.")
    lost = sorted({key for message in messages for key in message} - MESSAGE_KEYS)
    if lost:
        text = f"A message has {lost[0]}, which a prompt and a completion cannot hold."
        return BadLine(line, "many_keys", text, "Convert it to messages or sharegpt.")
    reasoning, answer = split_reasoning(messages[1])
    completion = content_text(messages[1]["content"])
    if reasoning and completion == answer:
        completion = f"{OPENS}\n{reasoning}\n{CLOSES}\n\n{answer}"
    return {"prompt": content_text(messages[0]["content"]), "completion": completion}


def _prompt(conversation: Conversation) -> dict[str, JsonValue] | BadLine:
    """All but the last answer as what is asked, and that answer."""
    *asked, last = conversation.messages
    if calls_tools(last):
        text = "The last answer calls tools, so it is no text to compare with."
        return BadLine(conversation.line, "not_text", text, "Convert it to messages.")
    answer = split_reasoning(last)[1].strip()
    if [message["role"] for message in asked] == ["user"] and set(asked[0]) <= MESSAGE_KEYS:
        return {"prompt": asked[0]["content"], "answer": answer}
    if asked[-1]["role"] == "assistant":
        text = "Two answers stand behind each other, so none is asked for."
        return BadLine(conversation.line, "many_turns", text, "Convert it to messages.")
    return {"messages": [dict(message) for message in asked], "answer": answer}


def _spoken(message: Message) -> dict[str, JsonValue]:
    role = str(message["role"])
    rest = {key: value for key, value in message.items() if key not in ("role", "content")}
    return {"from": SPEAKERS.get(role, role), "value": content_text(message["content"]), **rest}
