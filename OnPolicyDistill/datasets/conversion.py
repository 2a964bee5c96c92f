"""Conversation files from one form into another; whatever else a line says goes along.

messages           {"messages": [{"role": "user", "content": "..."}, ...]}
prompt_completion  {"prompt": "...", "completion": "..."}: one question, one answer, nothing before
sharegpt           {"conversations": [{"from": "human", "value": "..."}, ...]}
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from OnPolicyDistill.datasets.assistant_turns import CLOSES, OPENS, split_reasoning
from OnPolicyDistill.datasets.chat_template import REASONING_KEYS
from OnPolicyDistill.datasets.conversations import (
    Conversation,
    conversation_of,
    form_keys,
    refuse_bad_lines,
)
from OnPolicyDistill.datasets.messages import Message
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.datasets.reading import read_records
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.errors import DatasetError, InputError
from OnPolicyDistill.files import write_text_atomically

Form = Literal["messages", "prompt_completion", "sharegpt"]

SPEAKERS = {"user": "human", "assistant": "gpt"}
MESSAGE_KEYS = {"role", "content", *REASONING_KEYS}


def convert_conversations(source: Path, target: Path, form: Form) -> int:
    """Write a conversation file in another form, all of it or nothing; returns how many lines.

    Raises:
        InputError: the target is there already.
        DatasetError: lines cannot be used, or do not fit the form; names the first.
    """
    if target.exists():
        raise InputError(f"{target} is there already.", "Give another name, or remove it first.")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {target.parent}.", "Make it first.")
    found = [
        record if isinstance(record, BadLine) else _converted(record, form)
        for record in read_records(source)
    ]
    refuse_bad_lines(source, [line for line in found if isinstance(line, BadLine)])
    lines = [line for line in found if isinstance(line, dict)]
    if not lines:
        raise DatasetError("The file has no conversations.", "Give another file.", source)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_text_atomically(target, text)
    return len(lines)


def _converted(record: Record, form: Form) -> dict[str, JsonValue] | BadLine:
    found = conversation_of(record)
    has_messages = "messages" in record.values and not record.pictures
    if isinstance(found, Conversation) and found.pictures and form == "messages" and has_messages:
        return record.values
    written = found if isinstance(found, BadLine) else _written(found, form)
    if isinstance(written, BadLine):
        return written
    own = form_keys(record.values)
    extras = {key: value for key, value in record.values.items() if key not in own}
    clash = next((key for key in written if key in extras), None)
    if clash is not None:
        message = f"The line has {clash} beside its conversation."
        return BadLine(record.line, "two_forms", message, "Remove or rename one of the two.")
    return {**written, **extras}


def _written(conversation: Conversation, form: Form) -> dict[str, JsonValue] | BadLine:
    """The conversation's own keys in a form, or why it does not fit."""
    messages = conversation.messages
    if conversation.pictures:
        text = "The conversation has pictures, so it holds more than text."
        fix = "Only lines that have messages already can be converted to messages."
        return BadLine(conversation.line, "not_text", text, fix)
    if form == "messages":
        return {"messages": [dict(message) for message in messages]}
    if not all(_is_plain_text(message) for message in messages):
        text = f"A message holds more than text, which {form} cannot."
        return BadLine(conversation.line, "not_text", text, "Convert it to messages.")
    if form == "sharegpt":
        return {"conversations": [_spoken(message) for message in messages]}
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


def _spoken(message: Message) -> dict[str, JsonValue]:
    role = str(message["role"])
    rest = {key: value for key, value in message.items() if key not in ("role", "content")}
    return {"from": SPEAKERS.get(role, role), "value": content_text(message["content"]), **rest}


def _is_plain_text(message: Message) -> bool:
    content = message["content"]
    parts = content if isinstance(content, list) else []
    return all(isinstance(part, dict) and part.get("type", "text") == "text" for part in parts)
