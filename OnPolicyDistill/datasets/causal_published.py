"""Published sets of the causal kind, read into the lines of our own (causal_sets.py).

What was seen of Corr2Cause (Jin et al., arXiv 2306.05836): a CSV `input,label`, its inputs
`Premise: ...`, a new line and `Hypothesis: ...`, labels 1 and 0, in the samples that TensorFlow
Datasets tests with; objects of `premise`, `hypothesis` and `relation` (entailment, neutral,
contradiction), in the authors' program that writes them and in tasksource's table of columns; and
their templates of hypotheses. The whole files were not seen. Read are CSV, JSON lines, a JSON array
and parquet with either naming.

Premises there tell correlations and independences instead of arrows, and tell all of them. Two
variables without an arrow are independent given something, so a pair that no sentence calls
independent is adjacent. Where the two variables or the sentences cannot be read, nothing is said.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.answers import write_lines
from OnPolicyDistill.datasets.causal_graphs_told import NO, YES, final_answer, prompt_of
from OnPolicyDistill.datasets.reading import read_records
from OnPolicyDistill.datasets.records import BadLine, Record
from OnPolicyDistill.errors import DatasetError

LABEL_COLUMNS = ("label", "relation")
COLUMNS = frozenset(("input", "premise", "hypothesis", *LABEL_COLUMNS))
# Only what follows from the premise is a yes: a neutral hypothesis may be wrong.
ANSWERS = {"1": YES, "0": NO, "true": YES, "false": NO, "yes": YES, "no": NO} | {
    "entailment": YES,
    "neutral": NO,
    "contradiction": NO,
    "non-entailment": NO,
    "not_entailment": NO,
}
SPLIT_INPUT = re.compile(
    r"\s*Premise:\s*(?P<premise>.+?)\s*Hypothesis:\s*(?P<hypothesis>.+?)\s*", re.DOTALL
)
VARIABLES = re.compile(r"\b[A-Z]\b")
INDEPENDENT = re.compile(
    r"\b([A-Z]) and ([A-Z]) are independent\b|\b([A-Z]) is independent of ([A-Z])\b"
)


@dataclass(frozen=True, slots=True)
class PublishedItem:
    """Premise, hypothesis and answer of a line; `is_adjacent` is None where that is not said."""

    premise: str
    hypothesis: str
    answer: str
    is_adjacent: bool | None

    def line(self) -> dict[str, JsonValue]:
        """The item as a line of our own; `source` is equal for items of one premise."""
        adjacent: dict[str, JsonValue] = (
            {} if self.is_adjacent is None else {"adjacent": self.is_adjacent}
        )
        return {
            "prompt": prompt_of(self.premise, self.hypothesis),
            "completion": final_answer(self.answer),
            "answer": self.answer,
            "label": self.answer,
            "source": hashlib.sha256(self.premise.encode()).hexdigest()[:12],
            **adjacent,
        }


def convert_published(source: Path, target: Path) -> int:
    """Write a published file as lines of our own; returns how many.

    Raises:
        DatasetError: no such file, or naming the first line that cannot be read.
    """
    items = []
    for found in read_published(source):
        if isinstance(found, BadLine):
            raise DatasetError(found.message, found.fix, source, found.line)
        items.append(found)
    if not items:
        raise DatasetError("It has no items.", "Check that it is the right file.", source)
    write_lines(target, (item.line() for item in items))
    return len(items)


def read_published(path: Path) -> Iterator[PublishedItem | BadLine]:
    """Yield the item of each line, or what is wrong with it.

    Raises:
        DatasetError: the file cannot be read at all.
    """
    for record in read_records(path, COLUMNS):
        yield record if isinstance(record, BadLine) else _item(record)


def is_adjacent(premise: str, hypothesis: str) -> bool | None:
    """Whether the two variables of a hypothesis are neighbours, by a premise of all relations."""
    asked = set(VARIABLES.findall(hypothesis)) & set(VARIABLES.findall(premise))
    if len(asked) != 2 or "correlates with" not in premise:
        return None
    told = (set(filter(None, found)) for found in INDEPENDENT.findall(premise))
    return asked not in told


def _item(record: Record) -> PublishedItem | BadLine:
    parts = _parts(record.values)
    if parts is None:
        message = "The line has neither premise and hypothesis nor an input with both."
        fix = 'Write "input": "Premise: ... Hypothesis: ...", or two keys.'
        return BadLine(record.line, "no_text", message, fix)
    told = next((record.values[key] for key in LABEL_COLUMNS if key in record.values), None)
    answer = ANSWERS.get(str(told).strip().casefold())
    if answer is None:
        message = f"The label {str(told)[:40]!r} is none that is known."
        fix = 'Write 1 or 0 as "label", or entailment or not as "relation".'
        return BadLine(record.line, "wrong_type", message, fix)
    return PublishedItem(*parts, answer, is_adjacent(*parts))


def _parts(values: Mapping[str, JsonValue]) -> tuple[str, str] | None:
    premise, hypothesis = values.get("premise"), values.get("hypothesis")
    if isinstance(premise, str) and isinstance(hypothesis, str):
        return premise.strip(), hypothesis.strip()
    text = values.get("input")
    found = SPLIT_INPUT.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else (found["premise"], found["hypothesis"])
