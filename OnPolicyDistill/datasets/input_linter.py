"""The lint report of a file of inputs: unusable lines, duplicates, leaks, labels nobody knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from OnPolicyDistill.datasets.conversation_linter import FileFacts, report_of
from OnPolicyDistill.datasets.labelled import LabelledItem, item_key, read_items
from OnPolicyDistill.datasets.linter import LintReport, Ruler
from OnPolicyDistill.datasets.picture_linter import PictureLint, Progress
from OnPolicyDistill.datasets.prompt_rules import Finding, Severity, problem_finding
from OnPolicyDistill.datasets.records import BadLine

if TYPE_CHECKING:
    from OnPolicyDistill.pictures import Sight


def lint_inputs(
    path: Path,
    other: Path | None,
    ruler: Ruler,
    labels: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> LintReport:
    """Check a file of inputs; with `other`, also for inputs that both files have.

    `labels` are the answers that count: gold that is none of them is a warning.

    Raises:
        DatasetError: a file does not exist or is not readable.
        ModelError: the ruler's template or tokenizer is broken.
    """
    keys, marks = _keys(other, ruler.sight)
    known = None if labels is None else frozenset(labels)
    lint = _Lint(known, keys, ruler, PictureLint(ruler.sight, marks, progress))
    num_lines = 0
    for line, found in read_items(path):
        num_lines += 1
        if isinstance(found, BadLine):
            lint.findings.append(problem_finding(found))
        else:
            lint.take(line, found)
    if not lint.texts:
        lint.note(None, "error", "no_inputs", "The file has no usable inputs.", "Write one a line.")
    lint.findings.extend(lint.pictures.of_set())
    words = ruler.measure(lint.texts)
    lengths = [length + more for length, more in zip(words, lint.added, strict=True)]
    facts = FileFacts(path, "inputs", num_lines, lint.num_gold, lint.pictures.facts())
    return report_of(facts, lint.findings, ruler, lengths)


@dataclass(slots=True)
class _Lint:
    """The state of one pass over a file."""

    labels: frozenset[str] | None
    elsewhere: frozenset[str]
    ruler: Ruler
    pictures: PictureLint
    findings: list[Finding] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    num_gold: int = 0

    def take(self, line: int, item: LabelledItem) -> None:
        """Check one item against those before it and those of the other file."""
        pictures = self.pictures.take(line, item.pictures)
        self.findings.extend(pictures.findings)
        if not item.pictures or self.ruler.sight is not None:
            self.texts.append(_asked(item, self.ruler))
            num_pictures = len(item.pictures)
            self.added.append(self.ruler.length_of_pictures(num_pictures, pictures.num_tokens))
        self.num_gold += item.gold is not None
        key = item_key(item, pictures.marks)
        first = self.seen.setdefault(key, line)
        if first != line:
            self.note(line, "warning", "duplicate", f"Same as line {first}.", "It is left out.")
        if key in self.elsewhere:
            fix = "Remove it from one of the two, or held-out numbers mean nothing."
            self.note(line, "warning", "leaked", "The other set has this input too.", fix)
        if self.labels is not None and item.gold is not None and item.gold not in self.labels:
            message = f"{item.gold!r} is none of the labels."
            self.note(line, "warning", "unknown_label", message, "Correct it, or add the label.")

    def note(self, line: int | None, severity: Severity, code: str, message: str, fix: str) -> None:
        """Keep a finding."""
        found = Finding(line=line, severity=severity, code=code, message=message, fix=fix)
        self.findings.append(found)


def _keys(path: Path | None, sight: Sight | None) -> tuple[frozenset[str], frozenset[str]]:
    """What tells the items of another file, and its pictures."""
    items: set[str] = set()
    pictures: set[str] = set()
    lint = PictureLint(sight)
    for line, found in () if path is None else read_items(path):
        if isinstance(found, LabelledItem):
            marks = lint.take(line, found.pictures).marks
            items.add(item_key(found, marks))
            pictures.update(marks)
    return frozenset(items), frozenset(pictures)


def _asked(item: LabelledItem, ruler: Ruler) -> str:
    if ruler.template is None:
        return item.text
    return ruler.template.render(({"role": "user", "content": item.content},))
