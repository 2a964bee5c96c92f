"""Labelled items: texts with or without a gold label, and how a label is read from a reply.

Lines may name pictures in `images` or `image`; beside them a text may be empty, and be called
`problem` or `question` as in sets of problems. `grader` says that an answer is free and graded by
its box, not one of the labels. It knows neither models nor prompts.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.label_forms import (
    behind_prefix,
    explained,
    first_line,
    further_forms,
)
from OnPolicyDistill.datasets.layouts import foreign_layout
from OnPolicyDistill.datasets.picture_prompts import (
    listed_pictures,
    picture_keys,
    place_pictures,
    unread_picture,
)
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.prompts import QUESTION_KEYS, content_text, refuse_heavy
from OnPolicyDistill.datasets.reading import read_records
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.errors import DatasetError

TEXT_KEYS = ("text", "input", "sentence", "prompt")
GOLD_KEYS = ("label", "gold", "answer")
SOURCE_KEY = "source"
GRADED = "boxed"
GRADER_KEY = "grader"
THINKING_OPENS, THINKING_CLOSES = "<think>", "</think>"
# What models put around a label; a label's own signs count while anything else matches.
WRAPPING = " \t\r\n\"'`*_.,;:!?()[]{}<>“”„‘’«»‹›。！？、，：；「」『』"  # noqa: RUF001
MARKDOWN = re.compile(r"[*`]+")


@dataclass(frozen=True, slots=True)
class LabelledItem:
    """A text to classify.

    `index` is its place among the items of its file, from 0. `source` names where it comes from;
    items of one source resemble each other and stay together when a set is split. `extra` holds
    what else its line says. `parts` is what the user's message holds where it has `pictures`.
    """

    index: int
    text: str
    gold: str | None = None
    source: str | None = None
    extra: Mapping[str, JsonValue] = field(default_factory=dict)
    pictures: tuple[PictureSource, ...] = ()
    parts: tuple[JsonValue, ...] = ()

    @property
    def grader(self) -> str | None:
        """How a free answer is graded against gold: `boxed`; None where gold is one of labels."""
        return GRADED if self.extra.get(GRADER_KEY) == GRADED else None

    @property
    def content(self) -> JsonValue:
        """The content of the user's message: the text, or parts with places for pictures."""
        return list(self.parts) if self.pictures else self.text


def load_items(path: Path, *, sees: bool = False) -> list[LabelledItem]:
    """Read the items of a file of any form (reading.py); a plain text has one on each line.

    Items with pictures are refused unless the caller `sees` them.

    Keys and a table's heading name the text `text`, `input`, `sentence` or `prompt`, its gold label
    `label`, `gold` or `answer`, and its source `source`. A table of one column needs no heading.

    Raises:
        DatasetError: naming the file and the line that cannot be used.
    """
    items: list[LabelledItem] = []
    held_bytes = 0
    for line, item in read_items(path):
        found: LabelledItem | BadLine = item
        if isinstance(found, LabelledItem) and found.pictures and not sees:
            found = unread_picture(line)
        if isinstance(found, BadLine):
            raise DatasetError(found.message, found.fix, path, found.line)
        items.append(found)
        held_bytes += sum(len(source.data) for source in found.pictures)
        refuse_heavy(path, held_bytes)
    if not items:
        raise DatasetError("It has no items.", "Write one text a line.", path)
    return items


def read_items(path: Path) -> Iterator[tuple[int, LabelledItem | BadLine]]:
    """Yield each line's number with its item, or with what is wrong with it.

    Raises:
        DatasetError: the file cannot be read at all.
    """
    index = 0
    for row in read_records(path):
        found = _bad_item(row) if isinstance(row, BadLine) else item_of(index, row)
        yield row.line, found
        index += isinstance(found, LabelledItem)


def labels_of(items: Sequence[LabelledItem]) -> tuple[str, ...]:
    """The gold labels that occur, sorted."""
    return tuple(sorted({item.gold for item in items if item.gold is not None}))


def without_duplicates(items: Sequence[LabelledItem]) -> list[LabelledItem]:
    """Keep one item of each text (case and spaces aside): the first with gold, else the first."""
    kept: dict[str, LabelledItem] = {}
    for item in items:
        key = item_key(item)
        if key not in kept or (kept[key].gold is None and item.gold is not None):
            kept[key] = item
    return sorted(kept.values(), key=lambda item: item.index)


def split_by_source(
    items: Sequence[LabelledItem], held_out_share: float, seed: int
) -> tuple[list[LabelledItem], list[LabelledItem]]:
    """Split into (rest, held out), each in the items' order; no source is on both sides.

    An item without a source is a source by itself, together with those of the same text. Whole
    sources are drawn until the held-out side is as near to its share as they allow; neither side
    stays empty.

    Raises:
        DatasetError: there are fewer than two sources.
    """
    if not 0 < held_out_share < 1:
        raise ValueError("held_out_share must be between 0 and 1.")
    groups: dict[tuple[bool, str], list[LabelledItem]] = {}
    for item in items:
        key = (False, item_key(item)) if item.source is None else (True, item.source)
        groups.setdefault(key, []).append(item)
    if len(groups) < 2:
        message = "All items come from one source, so none can be held out."
        raise DatasetError(message, "Give a file of its own for the evaluation.")
    held_out = _drawn(list(groups.values()), held_out_share * len(items), seed)
    rest = [item for item in items if item.index not in held_out]
    return rest, [item for item in items if item.index in held_out]


def _drawn(groups: list[list[LabelledItem]], wanted: float, seed: int) -> frozenset[int]:
    """Indices of whole groups that come nearest to `wanted` items, in a seeded order."""
    random.Random(seed).shuffle(groups)
    smallest = min(groups, key=len)
    drawn: list[list[LabelledItem]] = []
    count = 0
    for group in groups:
        if abs(count + len(group) - wanted) < abs(count - wanted):
            drawn.append(group)
            count += len(group)
    if not drawn:
        drawn = [smallest]
    if len(drawn) == len(groups):
        drawn.remove(smallest)
    return frozenset(item.index for group in drawn for item in group)


def parse_label(reply: str, labels: Sequence[str], answer_prefix: str) -> str | None:
    """Read the label of a reply; None where it names no label, or more than one.

    Only what follows the last `</think>` counts, and nothing while thinking is still open. A
    reply whose prompt already opened its thinking has to begin with `<think>` here. The label is
    the first line with text after the last `answer_prefix` (any case, either colon, with or
    without markdown); without that prefix the whole reply has to be a label. Quotes, punctuation
    and markdown around the label do not count, nor does an explanation in brackets behind it. A box
    or a JSON object in the same place may hold it (label_forms).
    """
    before, closed, answer = reply.rpartition(THINKING_CLOSES)
    if THINKING_OPENS in answer or (not closed and THINKING_OPENS in before):
        return None
    for written in (answer, MARKDOWN.sub("", answer)):
        label = _label_of(written, labels, answer_prefix)
        if label is not None:
            return label
    return None


def _label_of(answer: str, labels: Sequence[str], prefix: str) -> str | None:
    following = behind_prefix(answer, prefix)
    rest = answer.strip() if following is None else following
    text = rest if following is None or not prefix.split() else first_line(rest)
    for candidate in (text, *further_forms(rest)):
        label = _match(candidate, labels)
        if label is not None:
            return label
    parts = explained(text)
    if parts is None:
        return None
    label, inner = (_match(part, labels) for part in parts)
    return label if inner in (None, label) else None


def _match(text: str, labels: Sequence[str]) -> str | None:
    """The only label that equals the text: as it stands, in any case, or bare of its wrapping."""
    for form in (_as_written, _without_case, _bare):
        wanted = form(text)
        found = {label for label in labels if wanted and form(label) == wanted}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def _as_written(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _without_case(text: str) -> str:
    return _as_written(text).casefold()


def _bare(text: str) -> str:
    return _without_case(text).strip(WRAPPING)


def item_key(item: LabelledItem, marks: Sequence[str] | None = None) -> str:
    """Equal for items that count as the same; `marks` tell pictures apart, or else their names."""
    names = [source.key for source in item.pictures] if marks is None else marks
    return "\0".join((text_key(item.text), *names))


def text_key(text: str) -> str:
    """What two texts that count as the same have in common: all but case and spaces."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _bad_item(row: BadLine) -> BadLine:
    fix = 'Write {"text": "...", "label": "..."} on each line.'
    return replace(row, fix=fix) if row.code == "not_object" else row


def _without_text(record: Record, key: str | None) -> BadLine:
    message = "The line has no text." if key is None else f"{key} is no text."
    plain = BadLine(record.line, "no_text", message, 'Name it "text" and give it words.')
    return foreign_layout(record.values, record.line) or plain


def item_of(index: int, record: Record) -> LabelledItem | BadLine:
    """Turn one object into an item, or say what is wrong with it."""
    line, values = record.line, record.values
    pictures = listed_pictures(record)
    if isinstance(pictures, BadLine):
        return pictures
    # The input of an instruction is half of a question.
    asks = ("text",) if "instruction" in values else TEXT_KEYS
    keys = (*asks, *QUESTION_KEYS) if pictures else asks
    key = next((key for key in keys if key in values), None)
    text = "" if key is None and pictures else None if key is None else values[key]
    if not isinstance(text, str) or not (text.strip() or pictures):
        return _without_text(record, key)
    gold_key = next((key for key in GOLD_KEYS if key in values), None)
    names = {name: values.get(name) for name in (gold_key, SOURCE_KEY) if name is not None}
    for name, value in names.items():
        is_named = isinstance(value, str | int | float | None) and not isinstance(value, bool)
        if not is_named or (isinstance(value, float) and values.get(GRADER_KEY) != GRADED):
            return BadLine(line, "wrong_type", f"{name} is no text.", "Write it as a text.")
    placed = place_pictures(record, [{"role": "user", "content": text}])
    if isinstance(placed, BadLine):
        return placed
    parts = placed.messages[0].get("content")
    used = {key, gold_key, SOURCE_KEY, *picture_keys(record)}
    return LabelledItem(
        index=index,
        text=text if not pictures else content_text(parts),
        gold=None if gold_key is None else _name(values[gold_key]),
        source=_name(values.get(SOURCE_KEY)),
        extra={name: value for name, value in values.items() if name not in used},
        pictures=pictures,
        parts=tuple(parts) if isinstance(parts, list) else (),
    )


def _name(value: JsonValue) -> str | None:
    """A label or source: a text or a whole number; null and blank are none."""
    return None if value is None else str(value).strip() or None
