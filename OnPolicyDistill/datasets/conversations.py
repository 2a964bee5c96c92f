"""Conversation sets: JSONL files for supervised fine-tuning, checked line by line.

One object a line: {"messages": [...]} that end with the assistant's turn, {"prompt": "...",
"completion": "..."} (or "answer", as in sets of prompts), or ShareGPT's {"conversations":
[{"from": "human", "value": "..."}, ...]} with perhaps a `system` beside them. Every
assistant turn is something to learn. Pictures may stand in each layout (picture_prompts).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.picture_prompts import place_pictures, unread_picture
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.prompts import Message, content_text, question_of
from OnPolicyDistill.datasets.records import BadLine, Record, read_records
from OnPolicyDistill.datasets.sharegpt import sharegpt_messages
from OnPolicyDistill.errors import DatasetError

EXAMPLE = '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", ...}]}'


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages with the wanted completions. `line` counts lines of the file from 1.

    `pictures` are those of the messages' {"type": "image"} parts, in order.
    """

    line: int
    messages: tuple[Message, ...]
    pictures: tuple[PictureSource, ...] = ()


def load_conversations(path: Path, *, sees: bool = False) -> tuple[Conversation, ...]:
    """Read a whole conversation file; pictures are refused unless the caller `sees` them.

    Raises:
        DatasetError: no such file, an empty one, or lines that cannot be used; names the first
            line and counts the others.
    """
    found = [_readable(line, sees) for line in read_conversations(path)]
    refuse_bad_lines(path, [line for line in found if isinstance(line, BadLine)])
    conversations = tuple(line for line in found if isinstance(line, Conversation))
    if not conversations:
        raise DatasetError("The file has no conversations.", f"Write {EXAMPLE} lines.", path)
    return conversations


def _readable(found: Conversation | BadLine, sees: bool) -> Conversation | BadLine:
    if isinstance(found, Conversation) and found.pictures and not sees:
        return unread_picture(found.line)
    return found


def refuse_bad_lines(path: Path, problems: Sequence[BadLine]) -> None:
    """Raise a DatasetError with the first bad line of a file, if there is one."""
    if problems:
        first, others = problems[0], len(problems) - 1
        more = f" {others} more lines of the file have problems." if others else ""
        raise DatasetError(first.message, first.fix + more, path, first.line)


def is_conversation(values: Mapping[str, JsonValue]) -> bool:
    """Whether a line is a conversation with its answer, and not a prompt that waits for one."""
    messages = values.get("messages")
    if isinstance(messages, list) and messages:
        last = messages[-1]
        return isinstance(last, dict) and last.get("role") == "assistant"
    return "conversations" in values or ("completion" in values and "prompt" in values)


def form_keys(values: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """The keys of a line that hold its conversation; all others are extra."""
    if "messages" in values:
        return ("messages",)
    if "conversations" in values:
        return ("conversations", "system")
    return ("prompt", "completion" if "completion" in values else "answer")


def read_conversations(path: Path) -> Iterator[Conversation | BadLine]:
    """Yield the conversation of each line, or what is wrong with it."""
    for record in read_records(path):
        yield record if isinstance(record, BadLine) else conversation_of(record)


def conversation_of(record: Record) -> Conversation | BadLine:
    """Turn one object into a conversation, or say what is wrong with it."""
    values = record.values
    if "messages" in values:
        return _check_messages(values["messages"], record)
    if "conversations" in values:
        turns = sharegpt_messages(record)
        return turns if isinstance(turns, BadLine) else _check_messages(turns, record)
    prompt, completion = question_of(record), values.get("completion", values.get("answer"))
    if not isinstance(prompt, str) or not isinstance(completion, str):
        message = "The line has neither messages nor conversations nor prompt with completion."
        return BadLine(record.line, "missing_messages", message, f"Write {EXAMPLE}.")
    messages: list[JsonValue] = [
        {"role": "user", "content": prompt},
        {"role": "assistant", "content": completion},
    ]
    return _check_messages(messages, record)


def _check_messages(value: JsonValue, record: Record) -> Conversation | BadLine:
    line = record.line
    if not isinstance(value, list) or not value:
        message = "messages is not a list with messages."
        return BadLine(line, "wrong_type", message, f"Write {EXAMPLE}.")
    messages: list[Message] = []
    for message_value in value:
        problem = _problem_of(message_value)
        if problem is not None:
            return BadLine(line, "wrong_type", problem, f"Write {EXAMPLE}.")
        assert isinstance(message_value, dict)
        messages.append(message_value)
    if messages[-1]["role"] != "assistant" or len(messages) < 2:
        fix = "End every conversation with the assistant's turn, and give it something to answer."
        return BadLine(line, "no_completion", "The last message is no answer to learn.", fix)
    placed = place_pictures(record, messages)
    if isinstance(placed, BadLine):
        return placed
    return Conversation(line, placed.messages, placed.pictures)


def _problem_of(message: JsonValue) -> str | None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        return "A message has no role."
    if not isinstance(message.get("content"), str | list):
        return "A message has no content."
    if message["role"] == "assistant" and not content_text(message.get("content")).strip():
        return "An assistant's message is empty."
    return None
