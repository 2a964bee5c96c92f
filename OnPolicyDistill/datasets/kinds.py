"""What a file of data holds, by most of its first usable lines, and the check it gets."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Literal

from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.conversations import is_conversation
from OnPolicyDistill.datasets.input_linter import lint_inputs
from OnPolicyDistill.datasets.labelled import TEXT_KEYS
from OnPolicyDistill.datasets.layouts import layout_of
from OnPolicyDistill.datasets.linter import LintReport, Ruler, lint_prompts
from OnPolicyDistill.datasets.picture_linter import Progress
from OnPolicyDistill.datasets.picture_prompts import listed_pictures
from OnPolicyDistill.datasets.prompts import Prompt, prompt_of
from OnPolicyDistill.datasets.reading import is_text, read_records
from OnPolicyDistill.datasets.records import Record
from OnPolicyDistill.errors import DatasetError

# inputs: one text each to be answered, with or without a label; text: read as a whole or by lines.
SetKind = Literal["prompts", "conversations", "inputs", "text"]
PEEKED_LINES = 50
# What tells labelled pictures, which need no text; prompts may have an answer.
LABEL_KEYS = ("label", "gold")


def kind_of(file: Path) -> SetKind:
    """What most of the first usable lines are; a file with none is taken for prompts."""
    if is_text(file):
        return "text"
    kinds: Counter[SetKind] = Counter()
    try:
        for record in islice(read_records(file), PEEKED_LINES):
            if isinstance(record, Record):
                kinds[_kind_of(record)] += 1
    except DatasetError:
        return "prompts"
    return kinds.most_common(1)[0][0] if kinds else "prompts"


def lint_file(
    file: Path, other: Path | None, ruler: Ruler, progress: Progress | None = None
) -> LintReport:
    """Check a file as what it holds; with `other`, also for what both files have.

    `progress` is told how many pictures have been looked at.

    Raises:
        DatasetError: a file does not exist or is not readable.
        ModelError: the ruler's template or tokenizer is broken.
    """
    kind = kind_of(file)
    if kind == "conversations":
        return lint_conversations(file, other, ruler, progress)
    if kind == "prompts":
        return lint_prompts(file, other, ruler, progress)
    return lint_inputs(file, other, ruler, progress=progress)


def _kind_of(record: Record) -> SetKind:
    # Prompts with an answer can be learned from as conversations too; they are called prompts.
    if is_conversation(record.values):
        return "conversations"
    if isinstance(prompt_of(record, 0), Prompt):
        return "prompts"
    if layout_of(record.values) is not None:
        return "conversations"
    pictures = listed_pictures(record)
    keys = (*TEXT_KEYS, *LABEL_KEYS) if pictures else TEXT_KEYS
    return "inputs" if record.values.keys() & set(keys) else "prompts"
