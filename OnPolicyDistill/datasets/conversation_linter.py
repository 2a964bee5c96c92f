"""The lint report of a conversation file: lines that cannot be used, duplicates, leaks, lengths."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.datasets.conversations import Conversation, read_conversations
from OnPolicyDistill.datasets.lengths import histogram
from OnPolicyDistill.datasets.linter import MAX_FINDINGS_PER_CODE, LintReport, Ruler
from OnPolicyDistill.datasets.prompt_rules import Finding, problem_finding
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.datasets.records import BadLine
from OnPolicyDistill.errors import DatasetError


def lint_conversations(path: Path, other: Path | None, ruler: Ruler) -> LintReport:
    """Check a file of conversations; with `other`, also for conversations that both files have.

    Raises:
        DatasetError: a file cannot be read at all.
        ModelError: the ruler's template or tokenizer is broken.
    """
    elsewhere = set() if other is None else {_mark(found) for found in _usable(other)}
    findings: list[Finding] = []
    texts: list[str] = []
    measured: list[Conversation] = []
    seen: dict[bytes, int] = {}
    num_lines = 0
    for found in read_conversations(path):
        num_lines += 1
        if isinstance(found, BadLine):
            findings.append(problem_finding(found))
            continue
        mark = _mark(found)
        first = seen.setdefault(mark, found.line)
        if first != found.line:
            findings.append(_warning(found, "duplicate", f"Same as line {first}.", "Remove one."))
        if mark in elsewhere:
            message = "The other set has this conversation too."
            findings.append(_warning(found, "leaked", message, "Remove it from one of the two."))
        try:
            texts.append(_text(found, ruler))
            measured.append(found)
        except DatasetError as error:
            findings.append(_warning(found, "template_refuses", error.message, error.action))
    if not texts:
        message, fix = "The file has no usable conversations.", 'Write {"messages": [...]} lines.'
        findings.append(
            Finding(line=None, severity="error", code="no_conversations", message=message, fix=fix)
        )
    lengths = ruler.measure(texts)
    findings.extend(_too_long(measured, lengths, ruler))
    return report_of(FileFacts(path, num_lines, len(texts)), findings, ruler, lengths)


def _too_long(measured: list[Conversation], lengths: list[int], ruler: Ruler) -> Iterator[Finding]:
    """Conversations that a run would leave out."""
    unit = "tokens" if ruler.tokenizer else "characters"
    for found, length in zip(measured, lengths, strict=True):
        if length > ruler.limit:
            message = f"The conversation has {length:,} {unit}; more than {ruler.limit:,}."
            fix = "Shorten it or raise max_length; longer ones are left out."
            yield _warning(found, "too_long", message, fix)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A linted file: its lines that are not blank, and how many of them have an answer."""

    path: Path
    num_lines: int
    num_answers: int


def report_of(
    facts: FileFacts, findings: list[Finding], ruler: Ruler, lengths: list[int]
) -> LintReport:
    """Sum up a file: what was found in it, and how long its usable lines are."""
    counts = Counter(finding.code for finding in findings)
    severities = Counter(finding.severity for finding in findings)
    listed = _first_of_each(findings)
    return LintReport(
        path=str(facts.path),
        verdict="error" if severities["error"] else "warning" if findings else "ok",
        num_lines=facts.num_lines,
        num_prompts=len(lengths),
        num_answers=facts.num_answers,
        num_errors=severities["error"],
        num_warnings=severities["warning"],
        num_duplicates=counts["duplicate"],
        num_leaked=counts["leaked"],
        num_unlisted=len(findings) - len(listed),
        counts=dict(sorted(counts.items())),
        findings=listed,
        lengths=histogram(lengths, "tokens" if ruler.tokenizer else "characters"),
    )


def _first_of_each(findings: list[Finding]) -> tuple[Finding, ...]:
    taken: Counter[str] = Counter()
    listed = []
    for finding in findings:
        taken[finding.code] += 1
        if taken[finding.code] <= MAX_FINDINGS_PER_CODE:
            listed.append(finding)
    return tuple(sorted(listed, key=lambda finding: finding.line or 0))


def _usable(path: Path) -> list[Conversation]:
    return [found for found in read_conversations(path) if isinstance(found, Conversation)]


def _mark(found: Conversation) -> bytes:
    turns = [[str(m["role"]), content_text(m.get("content"))] for m in found.messages]
    return hashlib.blake2b(json.dumps(turns).encode(), digest_size=16).digest()


def _text(found: Conversation, ruler: Ruler) -> str:
    if ruler.template is not None:
        return ruler.template.render(found.messages, add_generation_prompt=False)
    return "\n".join(content_text(message.get("content")) for message in found.messages)


def _warning(found: Conversation, code: str, message: str, fix: str) -> Finding:
    return Finding(line=found.line, severity="warning", code=code, message=message, fix=fix)
