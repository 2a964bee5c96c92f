"""What two sets have in common: what makes two lines the same, and how much of it is too much.

A held-out line that is trained on measures memory, not learning. Lines are compared by what they
say and show, never by the names of their files; case, spaces and the punctuation at edges do not
count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from OnPolicyDistill.datasets.conversations import Conversation, conversation_of
from OnPolicyDistill.datasets.labelled import LabelledItem, item_key, item_of
from OnPolicyDistill.datasets.messages import CALLS_KEY, calls_tools
from OnPolicyDistill.datasets.picture_linter import PictureLint
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.prompt_rules import (
    Finding,
    normalized_fingerprint,
    normalized_text,
    text_digest,
)
from OnPolicyDistill.datasets.prompts import Prompt, content_text, prompt_of
from OnPolicyDistill.datasets.reading import read_records
from OnPolicyDistill.datasets.records import BadLine, Record

# As what the lines of a set are read, which decides what makes two of them the same.
ReadAs = Literal["prompts", "conversations", "inputs"]
# A leak of this share can move a held-out rate by five points; the 95 % interval of a rate of one
# half on 300 lines is wider (decision 0037).
MOST_SHARED = 0.05
OVERLAP = "overlap"


@dataclass(frozen=True, slots=True)
class MarkedLine:
    """A usable line, and what it has in common with lines that count as the same.

    `source` is what its line names as where it comes from; lines of one resemble each other.
    """

    record: Record
    mark: bytes
    pictures: tuple[PictureSource, ...] = ()
    source: str | None = None


def shares_too_much(num_shared: int, num_lines: int) -> bool:
    """Whether so many of a set's lines are in the other set that it measures memory."""
    return num_shared > MOST_SHARED * num_lines


def overlap_finding(num_shared: int, num_lines: int, noun: str) -> Finding | None:
    """What is to be said of a whole set of which too many lines are in the other one."""
    if not shares_too_much(num_shared, num_lines):
        return None
    return Finding(
        line=None,
        severity="error",
        code=OVERLAP,
        message=f"{num_shared:,} of {num_lines:,} {noun} are in the other set too.",
        fix=f"More than {100 * MOST_SHARED:.0f} % is too much to tell learning from memory.",
    )


def marked_lines(path: Path, read_as: ReadAs) -> Iterator[MarkedLine | BadLine]:
    """Yield each line of a set with its mark, or what is wrong with it.

    Raises:
        DatasetError: the file does not exist or cannot be read.
    """
    # It knows of arrays, which sets without pictures do not wait for.
    from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT  # noqa: PLC0415

    look = PictureLint(DEFAULT_SIGHT)
    for place, record in enumerate(read_records(path)):
        if isinstance(record, BadLine):
            yield record
            continue
        found = _item(record, read_as, place)
        if isinstance(found, BadLine):
            yield found
            continue
        shown = look.take(record.line, found.pictures)
        source = found.source if isinstance(found, LabelledItem) else None
        yield MarkedLine(record, _mark(found, shown.marks), found.pictures, source)


def conversation_mark(found: Conversation, marks: Sequence[str]) -> bytes:
    """Equal for conversations that count as the same; `marks` tell their pictures apart."""
    return _told(found, marks, normalized_text)


def exact_conversation_mark(found: Conversation, marks: Sequence[str]) -> bytes:
    """Equal for conversations of the same words; `marks` tell their pictures apart."""
    return _told(found, marks, str)


def _told(found: Conversation, marks: Sequence[str], words_of: Callable[[str], str]) -> bytes:
    told = [*marks]
    for message in found.messages:
        told += (str(message["role"]), words_of(content_text(message.get("content"))))
        if calls_tools(message):
            told.append(json.dumps(message[CALLS_KEY]))
    return text_digest("\0".join(told))


def _item(
    record: Record, read_as: ReadAs, place: int
) -> Prompt | Conversation | LabelledItem | BadLine:
    if read_as == "prompts":
        return prompt_of(record, place)
    return conversation_of(record) if read_as == "conversations" else item_of(place, record)


def _mark(found: Prompt | Conversation | LabelledItem, marks: Sequence[str]) -> bytes:
    if isinstance(found, Prompt):
        return normalized_fingerprint(found, marks)
    if isinstance(found, Conversation):
        return conversation_mark(found, marks)
    return text_digest(item_key(found, marks))
