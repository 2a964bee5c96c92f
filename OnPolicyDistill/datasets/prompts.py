"""Prompt sets: a file of prompts, read once, checked, and hashed by content.

One object a line: {"prompt": "..."} or {"messages": [...]}, with `images` where a model sees them
(picture_prompts has the layouts). Beside pictures a question may also be called `problem` or
`question`, and a LLaVA conversation is a prompt up to its last answer. Every other key is kept;
`answer` is the right answer, graded by exact match or by the `grader` the line names. In plain
text every line is a prompt.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.layouts import foreign_layout
from OnPolicyDistill.datasets.messages import (
    Message,
    checked_messages,
    kind_of_value,
    tools_of,
)
from OnPolicyDistill.datasets.picture_prompts import (
    listed_pictures,
    picture_keys,
    place_pictures,
    unread_picture,
)
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.reading import read_records
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.datasets.sharegpt import KEYS as SHAREGPT_KEYS
from OnPolicyDistill.datasets.sharegpt import sharegpt_messages
from OnPolicyDistill.datasets.text_lines import TEXT_KEY
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.grading.graders import GRADERS, Grader

# What a question is called; the further names count only beside pictures.
QUESTION_KEYS = ("prompt", "problem", "question")
# What other tools call the same thing; the linter's advice names the key to rename.
FOREIGN_KEYS = ("question", "instruction", "input", "text", "query", "problem", "conversations")
DEFAULT_GRADER: Grader = "exact_match"
MAX_HELD_BYTES = 2_000_000_000


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a policy is asked. `index` counts prompts from 0, `line` lines of the file from 1.

    `pictures` are those of the messages' {"type": "image"} parts, in order.
    """

    index: int
    line: int
    messages: tuple[Message, ...]
    pictures: tuple[PictureSource, ...]
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
    def tools(self) -> tuple[JsonValue, ...]:
        """The tools that the line gives the model."""
        found = tools_of(self.extras, self.line)
        return () if isinstance(found, BadLine) else found

    @property
    def grader(self) -> str:
        """How completions are graded against the answer: the name of one of grading/graders."""
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


def load_prompts(path: Path, *, sees: bool = False) -> PromptSet:
    """Read a whole prompt file; pictures are refused unless the caller `sees` them.

    Raises:
        DatasetError: no such file, an empty one, or lines that cannot be used; names the first
            line and counts the others.
    """
    prompts: list[Prompt] = []
    problems: list[BadLine] = []
    held_bytes = 0
    for found in read_prompts(path):
        if isinstance(found, BadLine):
            problems.append(found)
        elif found.pictures and not sees:
            problems.append(unread_picture(found.line))
        else:
            prompts.append(found)
            held_bytes += sum(len(source.data) for source in found.pictures)
            refuse_heavy(path, held_bytes)
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
    found = _messages(record)
    if isinstance(found, BadLine):
        return found
    messages, used, answer = found
    placed = place_pictures(record, messages)
    if isinstance(placed, BadLine):
        return placed
    words = (content_text(message.get("content")).strip() for message in placed.messages)
    if not placed.pictures and not any(words):
        return BadLine(record.line, "empty_prompt", "All messages are empty.", "Remove the line.")
    if isinstance(record.values.get("answer"), dict | list):
        fix = "Write the answer as a string or a number."
        return BadLine(record.line, "wrong_type", "answer is not a text or a number.", fix)
    tools = tools_of(record.values, record.line)
    if isinstance(tools, BadLine):
        return tools
    grader = record.values.get("grader")
    if grader not in (None, "", *GRADERS):
        message = f"There is no grader {str(grader)[:40]!r}."
        return BadLine(record.line, "unknown_grader", message, f"Use {' or '.join(GRADERS)}.")
    own = {*used, *picture_keys(record)}
    extras = {key: value for key, value in record.values.items() if key not in own}
    if answer is not None:
        extras.setdefault("answer", answer)
    return Prompt(index, record.line, placed.messages, placed.pictures, extras)


def question_of(record: Record) -> JsonValue:
    """The words of a line that is one question; None where it has none."""
    key = _question_key(record)
    return None if key is None else record.values[key]


def refuse_heavy(path: Path, held_bytes: int) -> None:
    """Raise a DatasetError where a set's own pictures are more than is kept in memory."""
    if held_bytes > MAX_HELD_BYTES:
        most = MAX_HELD_BYTES // 1_000_000_000
        message = f"The set has more than {most} GB of pictures inside."
        raise DatasetError(message, "Write them out as files, with a JSONL that names them.", path)


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
        names = [source.name if source.file else source.key for source in prompt.pictures]
        values = {"messages": prompt.messages, "images": names, "extras": prompt.extras}
        digest.update(json.dumps(values, sort_keys=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


Asked = tuple[list[Message], tuple[str, ...], str | None]


def _messages(record: Record) -> Asked | BadLine:
    """Messages of a line, the keys that hold them, and the answer that a conversation ends with."""
    line, values = record.line, record.values
    if "prompt" in values and "messages" in values:
        return BadLine(line, "two_prompts", "The line has prompt and messages.", "Keep one.")
    if "messages" in values:
        messages = _asking(values["messages"], line)
        return messages if isinstance(messages, BadLine) else (messages, ("messages",), None)
    if "conversations" in values and "prompt" not in values and _lists_pictures(record):
        return _of_llava(record)
    return _one_question(record)


def _one_question(record: Record) -> Asked | BadLine:
    line, key = record.line, _question_key(record)
    prompt = None if key is None else record.values[key]
    if key is None or prompt is None:
        return _missing(record)
    if isinstance(prompt, list):
        messages = _asking(prompt, line, key)
        return messages if isinstance(messages, BadLine) else (messages, (key,), None)
    if not isinstance(prompt, str):
        fix = "Write the prompt as a string, or use messages."
        return BadLine(line, "wrong_type", f"{key} is {kind_of_value(prompt)}, not a text.", fix)
    if not prompt.strip():
        return BadLine(line, "empty_prompt", "The prompt is empty.", "Remove the line.")
    return [{"role": "user", "content": prompt}], (key,), None


def _of_llava(record: Record) -> Asked | BadLine:
    """A conversation about pictures as a prompt: up to its last answer, which is the right one."""
    turns = sharegpt_messages(record)
    if isinstance(turns, BadLine):
        return turns
    last = turns[-1] if turns else None
    answer = None
    if isinstance(last, dict) and last.get("role") == "assistant":
        answer, turns = content_text(last.get("content")), turns[:-1]
    messages = _asking(turns, record.line)
    return messages if isinstance(messages, BadLine) else (messages, SHAREGPT_KEYS, answer)


def _question_key(record: Record) -> str | None:
    if record.is_plain:
        return TEXT_KEY
    keys = QUESTION_KEYS if _lists_pictures(record) else QUESTION_KEYS[:1]
    return next((key for key in keys if key in record.values), None)


def _lists_pictures(record: Record) -> bool:
    # What is wrong with them is said when they are placed.
    return bool(listed_pictures(record))


def _asking(value: JsonValue, line: int, name: str = "messages") -> list[Message] | BadLine:
    """Messages that wait for an answer, or what is wrong with them."""
    messages = checked_messages(value, line, name)
    if isinstance(messages, list) and messages[-1]["role"] == "assistant":
        fix = "End with the user's turn; for whole conversations use supervised fine-tuning."
        return BadLine(line, "ends_with_answer", "The last message is the assistant's.", fix)
    return messages


def _missing(record: Record) -> BadLine:
    layout = foreign_layout(record.values, record.line)
    if layout is not None:
        return layout
    foreign = next((key for key in FOREIGN_KEYS if key in record.values), None)
    message = "The line has neither prompt nor messages."
    fix = 'Write {"prompt": "..."}.'
    if foreign:
        fix = f'Rename "{foreign}" to "prompt", or: opd data convert IN OUT --map prompt={foreign}.'
    return BadLine(record.line, "missing_prompt", message, fix)


def _explain(path: Path, problems: list[BadLine]) -> DatasetError:
    first, others = problems[0], len(problems) - 1
    more = f" {others} more lines have problems: opd data lint {path} lists them." if others else ""
    if others == 1:
        more = more.replace("lines have", "line has").replace("lists them", "lists both")
    return DatasetError(first.message, first.fix + more, path, first.line)
