"""Files of any layout into files that are trained on; whatever else a line says goes along.

The layout is told by most of the first lines, or given; where it has no name, columns are named by
hand (mapping). Forms are those of written_forms. All of a file is written or nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.conversations import (
    Conversation,
    conversation_of,
    form_keys,
    is_conversation,
    refuse_bad_lines,
)
from OnPolicyDistill.datasets.labelled import TEXT_KEYS, LabelledItem, item_of
from OnPolicyDistill.datasets.layouts import LAYOUTS, OPEN_ASSISTANT, Talk, layout_of
from OnPolicyDistill.datasets.mapping import Meaning, columns_of, renamed
from OnPolicyDistill.datasets.openassistant import is_message, is_tree, of_messages, of_tree
from OnPolicyDistill.datasets.prompts import Prompt, prompt_of
from OnPolicyDistill.datasets.reading import COLUMNS, heading_of, read_records
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.datasets.written_forms import Form, written
from OnPolicyDistill.errors import DatasetError, InputError
from OnPolicyDistill.files import write_text_atomically

GUESSED_LINES = 50
# What is read here as it is: conversations, and lines that wait for an answer.
CONVERSATIONS, PROMPTS, INPUTS = "conversations", "prompts", "inputs"
LAYOUT_NAMES = (CONVERSATIONS, PROMPTS, INPUTS, *LAYOUTS, OPEN_ASSISTANT)
TREE_KEYS = ("prompt", "replies", "text", "role", "message_id", "parent_id", "rank")

Line = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to convert: to which form, from which layout, with which columns; None is guessed."""

    form: Form | None = None
    layout: str | None = None
    mapping: Mapping[Meaning, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Guess:
    """What the first lines of a file look like: their layout, if it is known, and their keys."""

    layout: str | None
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Converted:
    """What was written, and how many lines were left out because they have no answer."""

    layout: str
    form: Form
    num_lines: int
    num_left_out: int


def guess_layout(source: Path, mapping: Mapping[Meaning, str] | None = None) -> Guess:
    """Look at the first lines of a file.

    Raises:
        DatasetError: it cannot be read.
    """
    layouts: Counter[str] = Counter()
    columns: dict[str, None] = {}
    for found in islice(_renamed(source, mapping or {}), GUESSED_LINES):
        if isinstance(found, Record):
            layout = _layout_of(found)
            layouts.update([layout] if layout is not None else [])
            columns.update(dict.fromkeys(found.values))
    if not columns and not mapping:
        names = heading_of(source)
        # A table without a heading has its columns by number.
        columns = dict.fromkeys((*names, *(str(number + 1) for number in range(len(names)))))
    best = layouts.most_common(1)
    return Guess(best[0][0] if best else None, tuple(columns))


def convert(source: Path, target: Path, wanted: Wanted) -> Converted:
    """Write a file in another form, all of it or nothing.

    Raises:
        InputError: the target is there already.
        DatasetError: lines cannot be used, or do not fit the form; names the first.
    """
    if target.exists():
        raise InputError(f"{target} is there already.", "Give another name, or remove it first.")
    if not target.parent.is_dir():
        raise InputError(f"There is no folder {target.parent}.", "Make it first.")
    layout = wanted.layout or _guessed(source, wanted)
    form = wanted.form or _usual_form(layout)
    found = list(_converted(source, layout, form, wanted.mapping))
    refuse_bad_lines(source, [line for line in found if isinstance(line, BadLine)])
    lines = [line for line in found if isinstance(line, dict)]
    if not lines:
        raise DatasetError(f"The file has nothing to learn as {layout}.", "Look at it.", source)
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    write_text_atomically(target, text)
    return Converted(layout, form, len(lines), sum(line is None for line in found))


def _guessed(source: Path, wanted: Wanted) -> str:
    guess = guess_layout(source, wanted.mapping)
    if guess.layout is not None:
        return guess.layout
    if not guess.columns:
        found = list(_renamed(source, wanted.mapping))
        refuse_bad_lines(source, [line for line in found if isinstance(line, BadLine)])
        raise DatasetError("The file has no lines.", "Give another file.", source)
    columns = ", ".join(guess.columns[:12])
    message = f"The layout of the file is not known; its lines have: {columns}."
    fix = "Say which is which: --map prompt=NAME --map completion=NAME."
    raise DatasetError(message, fix, source)


def _usual_form(layout: str) -> Form:
    if layout == PROMPTS:
        return "prompts"
    return "inputs" if layout == INPUTS else "messages"


def _layout_of(record: Record) -> str | None:
    values = record.values
    is_choice = "chosen" in values and "rejected" in values
    if is_conversation(values) and not is_choice:
        return CONVERSATIONS
    layout = layout_of(values)
    if layout is not None:
        return layout
    if isinstance(prompt_of(record, 0), Prompt):
        return PROMPTS
    return INPUTS if values.keys() & set(TEXT_KEYS) else None


def _renamed(source: Path, mapping: Mapping[Meaning, str]) -> Iterator[Record | BadLine]:
    columns = COLUMNS | columns_of(mapping)
    for record in read_records(source, columns):
        yield record if isinstance(record, BadLine) else renamed(record, mapping)


def _converted(
    source: Path, layout: str, form: Form, mapping: Mapping[Meaning, str]
) -> Iterator[Line | BadLine | None]:
    """Each line that comes of a file, what cannot be used, and None for what has no answer."""
    records = _renamed(source, mapping)
    if layout == OPEN_ASSISTANT:
        yield from _of_open_assistant(list(records), form)
        return
    for record in records:
        if isinstance(record, BadLine):
            yield record
        elif layout in LAYOUTS:
            yield from _of_layout(record, layout, form)
        else:
            yield _of_own(record, layout, form)


def _of_own(record: Record, layout: str, form: Form) -> Line | BadLine:
    """A line that this program reads as it is."""
    if layout == CONVERSATIONS and form != "inputs":
        return _of_conversation(record, form)
    if form == "prompts" and layout == PROMPTS:
        found = prompt_of(record, 0)
        return found if isinstance(found, BadLine) else _same(record, "prompt")
    if form == "inputs" and layout != CONVERSATIONS:
        item = item_of(0, record)
        return item if isinstance(item, BadLine) else _of_item(record, item)
    message = f"Lines of {layout} cannot become {form}."
    fix = "Choose another form, or say which column is what: --map prompt=NAME."
    return BadLine(record.line, "no_such_form", message, fix)


def _same(record: Record, name: str) -> Line:
    """A line as it is, with its words first."""
    first = {name: record.values[name]} if name in record.values else {}
    return {**first, **record.values}


def _of_item(record: Record, item: LabelledItem) -> Line:
    if item.pictures:
        return record.values
    named = {"text": item.text, "label": item.gold, "source": item.source}
    return {**{key: value for key, value in named.items() if value is not None}, **item.extra}


def _of_conversation(record: Record, form: Form) -> Line | BadLine:
    found = conversation_of(record)
    if isinstance(found, BadLine):
        return found
    has_messages = "messages" in record.values and not record.pictures
    if found.pictures and form == "messages" and has_messages:
        return record.values
    return _line(record, found, form, form_keys(record.values))


def _of_layout(record: Record, name: str, form: Form) -> Iterator[Line | BadLine | None]:
    layout = LAYOUTS[name]
    if not layout.is_it(record.values):
        message = f"The line is not {name}; it has: {', '.join(list(record.values)[:12])}."
        yield BadLine(record.line, "other_layout", message, "Take it out, or name another layout.")
        return
    try:
        talks = layout.read(record.values)
    except ValueError as error:
        yield BadLine(record.line, "broken_line", str(error), f"Write it as {name} is.")
        return
    if not talks:
        yield None
    for talk in talks:
        yield _told(record, talk, form, layout.keys)


def _of_open_assistant(
    found: Sequence[Record | BadLine], form: Form
) -> Iterator[Line | BadLine | None]:
    yield from (line for line in found if isinstance(line, BadLine))
    records = [record for record in found if isinstance(record, Record)]
    single = [record for record in records if is_message(record.values)]
    paths = [(single[at], path) for at, path in of_messages([one.values for one in single])]
    for record in records:
        if is_tree(record.values):
            paths.append((record, of_tree(record.values)))
        elif not is_message(record.values):
            message = "The line is neither a message nor a tree of OpenAssistant."
            yield BadLine(record.line, "other_layout", message, "Take it out.")
    for record, path in paths:
        yield _told(record, Talk(path), form, TREE_KEYS) if path else None


def _told(record: Record, talk: Talk, form: Form, own: Sequence[str]) -> Line | BadLine:
    found = _line(record, Conversation(record.line, talk.messages), form, own)
    if form == "prompts" and talk.answer is not None and isinstance(found, dict):
        return {**found, "answer": talk.answer}
    return found


def _line(
    record: Record, conversation: Conversation, form: Form, own: Sequence[str]
) -> Line | BadLine:
    """A conversation in a form beside what else its line says, or why it does not fit."""
    line = written(conversation, form)
    if isinstance(line, BadLine):
        return replace(line, line=record.line)
    extras = {key: value for key, value in record.values.items() if key not in own}
    clash = next((key for key in line if key in extras), None)
    if clash is not None:
        message = f"The line has {clash} beside its conversation."
        return BadLine(record.line, "two_forms", message, "Remove or rename one of the two.")
    return {**line, **extras}
