"""What a file of data holds, by its ending or its first usable line, and the check it gets."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Literal

from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.conversations import is_conversation
from OnPolicyDistill.datasets.input_linter import lint_inputs
from OnPolicyDistill.datasets.labelled import TEXT_KEYS
from OnPolicyDistill.datasets.linter import LintReport, Ruler, lint_prompts
from OnPolicyDistill.datasets.prompts import Prompt, prompt_of
from OnPolicyDistill.datasets.records import Record, read_records
from OnPolicyDistill.errors import DatasetError

# inputs: one text each to be answered, with or without a label; text: read as a whole or by lines.
SetKind = Literal["prompts", "conversations", "inputs", "text"]
# Whatever has another ending is JSON lines.
ENDINGS: dict[str, SetKind] = {".csv": "inputs", ".txt": "text", ".md": "text"}
PEEKED_LINES = 50


def kind_of(file: Path) -> SetKind:
    """What the ending or the first usable line says; a file with none is taken for prompts."""
    known = ENDINGS.get(file.suffix.lower())
    if known is not None:
        return known
    try:
        for record in islice(read_records(file), PEEKED_LINES):
            if isinstance(record, Record):
                return _kind_of(record)
    except DatasetError:
        return "prompts"
    return "prompts"


def lint_file(file: Path, other: Path | None, ruler: Ruler) -> LintReport:
    """Check a file as what it holds; with `other`, also for what both files have.

    Raises:
        DatasetError: a file does not exist or is not readable.
        ModelError: the ruler's template or tokenizer is broken.
    """
    kind = kind_of(file)
    if kind == "conversations":
        return lint_conversations(file, other, ruler)
    if kind == "prompts":
        return lint_prompts(file, other, ruler)
    return lint_inputs(file, other, ruler)


def _kind_of(record: Record) -> SetKind:
    # Prompts with an answer can be learned from as conversations too; they are called prompts.
    if is_conversation(record.values):
        return "conversations"
    if isinstance(prompt_of(record, 0), Prompt) or not record.values.keys() & set(TEXT_KEYS):
        return "prompts"
    return "inputs"
