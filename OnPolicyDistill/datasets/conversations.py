"""Conversation sets: JSONL files for supervised fine-tuning, checked line by line.

One object a line: {"messages": [...]} that end with the assistant's turn, {"prompt": "...",
"completion": "..."} (or "answer", as in sets of prompts; both may be lists of messages), or
ShareGPT's {"conversations": [{"from": "human", "value": "..."}, ...]} with perhaps a `system`
beside them. Every assistant turn is something to learn, unless it says no (messages). Pictures may
stand in each layout (picture_prompts).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.layouts import foreign_layout
from OnPolicyDistill.datasets.messages import (
    EXAMPLE,
    Message,
    calls_tools,
    checked_messages,
    is_learned,
    kind_of_value,
    tools_of,
)
from OnPolicyDistill.datasets.picture_prompts import place_pictures, unread_picture
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.prompts import content_text, question_of
from OnPolicyDistill.datasets.reading import read_records
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.datasets.sharegpt import sharegpt_messages
from OnPolicyDistill.errors import DatasetError


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages with the wanted completions. `line` counts lines of the file from 1.

    `pictures` are those of the messages' {"type": "image"} parts, in order; `tools` those that the
    line gives the model.
    """

    line: int
    messages: tuple[Message, ...]
    pictures: tuple[PictureSource, ...] = ()
    tools: tuple[JsonValue, ...] = ()


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
    return _of_pair(record)


def _of_pair(record: Record) -> Conversation | BadLine:
    """A question and its answer, each a text or, as TRL has it, a list of messages."""
    values, line = record.values, record.line
    name = "completion" if "completion" in values else "answer"
    question, answer = question_of(record), values.get(name)
    if question is None or answer is None:
        layout = foreign_layout(values, line)
        if layout is not None:
            return layout
        message = "The line has neither messages nor conversations nor prompt with completion."
        return BadLine(line, "missing_messages", message, f"Write {EXAMPLE}.")
    messages: list[JsonValue] = []
    for key, value, role in (("prompt", question, "user"), (name, answer, "assistant")):
        if isinstance(value, list):
            messages += value
        elif isinstance(value, str):
            messages.append({"role": role, "content": value})
        else:
            message = f"{key} is {kind_of_value(value)}, not a text."
            return BadLine(line, "wrong_type", message, "Write it in quotes.")
    return _check_messages(messages, record)


def _check_messages(value: JsonValue, record: Record) -> Conversation | BadLine:
    line = record.line
    messages = checked_messages(value, line)
    if isinstance(messages, BadLine):
        return messages
    answers = [message for message in messages if message["role"] == "assistant"]
    if any(map(_is_empty, answers)):
        message = "An assistant's message is empty."
        return BadLine(line, "wrong_type", message, f"Write {EXAMPLE}.")
    if messages[-1]["role"] != "assistant" or len(messages) < 2:
        fix = "End every conversation with the assistant's turn, and give it something to answer."
        return BadLine(line, "no_completion", "The last message is no answer to learn.", fix)
    if not any(map(is_learned, answers)):
        fix = "Give one of its answers a weight of 1, or take the line out."
        return BadLine(line, "no_completion", "No answer of it is to be learned.", fix)
    placed, tools = place_pictures(record, messages), tools_of(record.values, line)
    if isinstance(placed, BadLine):
        return placed
    if isinstance(tools, BadLine):
        return tools
    return Conversation(line, placed.messages, placed.pictures, tools)


def _is_empty(answer: Message) -> bool:
    return not content_text(answer.get("content")).strip() and not calls_tools(answer)
