"""Prompt sets: a JSONL file of prompts, read once, checked, and hashed by content.

One object a line: {"prompt": "..."} or {"messages": [...]}, with `images` where a model sees them.
Every other key is kept; `answer` is the right answer, graded by exact match or by the `grader` the
line names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.records import BadLine, Record, read_records
from OnPolicyDistill.errors import DatasetError

Message = dict[str, JsonValue]

OWN_KEYS = ("prompt", "messages", "images")
# What other tools call the same thing; the linter's advice names the key to rename.
FOREIGN_KEYS = ("question", "instruction", "input", "text", "query", "problem", "conversations")
DEFAULT_GRADER = "exact_match"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a policy is asked. `index` counts prompts from 0, `line` lines of the file from 1."""

    index: int
    line: int
    messages: tuple[Message, ...]
    images: tuple[str, ...]
    extras: Mapping[str, JsonValue]

    @property
    def text(self) -> str:
        """The words of the last message, for people."""
        return content_text(self.messages[-1].get("content"))

    @property
    def answer(self) -> str | None:
        """The right answer, where the line has one."""
        value = self.extras.get("answer")
        return None if value is None else str(value)

    @property
    def grader(self) -> str:
        """How completions are graded against the answer."""
        return str(self.extras.get("grader") or DEFAULT_GRADER)


@dataclass(frozen=True, slots=True)
class PromptSet:
    """All prompts of a file, in its order. `content_hash` ignores formatting and line numbers."""

    path: Path
    prompts: tuple[Prompt, ...]
    content_hash: str

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def num_answers(self) -> int:
        """How many prompts have a right answer."""
        return sum(prompt.answer is not None for prompt in self.prompts)


def load_prompts(path: Path) -> PromptSet:
    """Read a whole prompt file.

    Raises:
        DatasetError: no such file, an empty one, or lines that cannot be used; names the first
            line and counts the others.
    """
    prompts: list[Prompt] = []
    problems: list[BadLine] = []
    for found in read_prompts(path):
        if isinstance(found, Prompt):
            prompts.append(found)
        else:
            problems.append(found)
    if problems:
        raise _explain(path, problems)
    if not prompts:
        raise DatasetError("The file has no prompts.", 'Write {"prompt": "..."} lines.', path)
    return PromptSet(path, tuple(prompts), content_hash(prompts))


def read_prompts(path: Path) -> Iterator[Prompt | BadLine]:
    """Yield the prompt of each line, or what is wrong with it, without holding the file."""
    index = 0
    for record in read_records(path):
        found = record if isinstance(record, BadLine) else prompt_of(record, index)
        index += isinstance(found, Prompt)
        yield found


def prompt_of(record: Record, index: int) -> Prompt | BadLine:
    """Turn one object into a prompt, or say what is wrong with it."""
    values = record.values
    messages = _messages(record)
    if isinstance(messages, BadLine):
        return messages
    images = values.get("images", [])
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        fix = 'Write "images": ["picture.png"].'
        return BadLine(record.line, "wrong_type", "images is not a list of file names.", fix)
    if isinstance(values.get("answer"), dict | list):
        fix = "Write the answer as a string or a number."
        return BadLine(record.line, "wrong_type", "answer is not a text or a number.", fix)
    extras = {key: value for key, value in values.items() if key not in OWN_KEYS}
    return Prompt(index, record.line, tuple(messages), tuple(map(str, images)), extras)


def content_text(content: JsonValue) -> str:
    """The words of a message's content: a text, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(part for part in parts if isinstance(part, str))


def content_hash(prompts: list[Prompt]) -> str:
    """SHA-256 of the prompts' messages, images and further keys, in order."""
    digest = hashlib.sha256()
    for prompt in prompts:
        values = {"messages": prompt.messages, "images": prompt.images, "extras": prompt.extras}
        digest.update(json.dumps(values, sort_keys=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _messages(record: Record) -> list[Message] | BadLine:
    line, values = record.line, record.values
    if "prompt" in values and "messages" in values:
        return BadLine(line, "two_prompts", "The line has prompt and messages.", "Keep one.")
    if "messages" in values:
        return _check_messages(values["messages"], line)
    prompt = values.get("prompt")
    if prompt is None:
        return _missing(record)
    if not isinstance(prompt, str):
        fix = "Write the prompt as a string, or use messages."
        return BadLine(line, "wrong_type", "prompt is not a text.", fix)
    if not prompt.strip():
        return BadLine(line, "empty_prompt", "The prompt is empty.", "Remove the line.")
    return [{"role": "user", "content": prompt}]


def _check_messages(value: JsonValue, line: int) -> list[Message] | BadLine:
    if not isinstance(value, list) or not value:
        fix = 'Write "messages": [{"role": "user", "content": "..."}].'
        return BadLine(line, "wrong_type", "messages is not a list with messages.", fix)
    messages: list[Message] = []
    for message in value:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            fix = 'Each message is {"role": "user", "content": "..."}.'
            return BadLine(line, "wrong_type", "A message has no role.", fix)
        if not isinstance(message.get("content"), str | list):
            fix = "Write its content as a string."
            return BadLine(line, "wrong_type", "A message has no content.", fix)
        messages.append(message)
    if messages[-1]["role"] == "assistant":
        fix = "End with the user's turn; for whole conversations use supervised fine-tuning."
        return BadLine(line, "ends_with_answer", "The last message is the assistant's.", fix)
    if not any(content_text(message.get("content")).strip() for message in messages):
        return BadLine(line, "empty_prompt", "All messages are empty.", "Remove the line.")
    return messages


def _missing(record: Record) -> BadLine:
    foreign = next((key for key in FOREIGN_KEYS if key in record.values), None)
    message = "The line has neither prompt nor messages."
    fix = f'Rename "{foreign}" to "prompt".' if foreign else 'Write {"prompt": "..."}.'
    return BadLine(record.line, "missing_prompt", message, fix)


def _explain(path: Path, problems: list[BadLine]) -> DatasetError:
    first, others = problems[0], len(problems) - 1
    more = f" {others} more lines have problems: opd data lint {path} lists them." if others else ""
    if others == 1:
        more = more.replace("lines have", "line has").replace("lists them", "lists both")
    return DatasetError(first.message, first.fix + more, path, first.line)
