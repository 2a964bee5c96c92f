"""The lint report of a conversation file: lines that cannot be used, duplicates, leaks, lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from OnPolicyDistill.datasets.assistant_turns import refuse_unwritten_calls
from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.conversations import Conversation, read_conversations
from OnPolicyDistill.datasets.findings import Findings
from OnPolicyDistill.datasets.lengths import histogram
from OnPolicyDistill.datasets.linter import LintReport, Ruler
from OnPolicyDistill.datasets.messages import calls_tools
from OnPolicyDistill.datasets.overlap import (
    conversation_mark,
    exact_conversation_mark,
    overlap_finding,
)
from OnPolicyDistill.datasets.picture_linter import PictureFacts, PictureLint, Progress
from OnPolicyDistill.datasets.prompt_rules import Finding, problem_finding
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.datasets.records import BadLine
from OnPolicyDistill.errors import DatasetError


def lint_conversations(
    path: Path, other: Path | None, ruler: Ruler, progress: Progress | None = None
) -> LintReport:
    """Check a file of conversations; with `other`, also for conversations that both files have.

    Raises:
        DatasetError: a file cannot be read at all.
        ModelError: the ruler's template or tokenizer is broken.
    """
    elsewhere, marks = _usable(other, ruler)
    lint = _Lint(ruler, elsewhere, PictureLint(ruler.sight, marks, progress))
    num_lines = 0
    for found in read_conversations(path):
        num_lines += 1
        if isinstance(found, BadLine):
            lint.findings.append(problem_finding(found))
        else:
            lint.take(found)
    if not lint.texts:
        message, fix = "The file has no usable conversations.", 'Write {"messages": [...]} lines.'
        lint.findings.append(
            Finding(line=None, severity="error", code="no_conversations", message=message, fix=fix)
        )
    lint.findings.extend(lint.pictures.of_set())
    words = ruler.measure(lint.texts)
    lengths = [length + more for length, more in zip(words, lint.added, strict=True)]
    lint.findings.extend(_too_long(lint.measured, lengths, ruler))
    facts = FileFacts(path, "conversations", num_lines, len(lint.texts), lint.pictures.facts())
    return report_of(facts, lint.findings, ruler, lengths)


@dataclass(slots=True)
class _Lint:
    """The state of one pass over a file."""

    ruler: Ruler
    elsewhere: frozenset[bytes]
    pictures: PictureLint
    findings: list[Finding] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    measured: list[Conversation] = field(default_factory=list)
    seen: dict[bytes, int] = field(default_factory=dict)

    def take(self, found: Conversation) -> None:
        """Check one conversation against those before it and those of the other file."""
        pictures = self.pictures.take(found.line, found.pictures)
        self.findings.extend(pictures.findings)
        mark = exact_conversation_mark(found, pictures.marks)
        first = self.seen.setdefault(mark, found.line)
        if first != found.line:
            message = f"Same as line {first}."
            self.findings.append(_warning(found, "duplicate", message, "Remove one."))
        if conversation_mark(found, pictures.marks) in self.elsewhere:
            message = "The other set has this conversation too."
            self.findings.append(
                _warning(found, "leaked", message, "Remove it from one of the two.")
            )
        if found.pictures and self.ruler.sight is None:
            return  # it was refused, and the template may not take pictures
        try:
            self.texts.append(_text(found, self.ruler))
        except DatasetError as error:
            self.findings.append(_warning(found, "template_refuses", error.what, error.action))
            return
        self.measured.append(found)
        num_pictures = len(found.pictures)
        self.added.append(self.ruler.length_of_pictures(num_pictures, pictures.num_tokens))


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
    """A linted file: its lines that are not blank, how many have an answer, and its pictures.

    `noun` is what its lines are called.
    """

    path: Path
    noun: str
    num_lines: int
    num_answers: int
    pictures: PictureFacts | None = None


def report_of(
    facts: FileFacts, findings: list[Finding], ruler: Ruler, lengths: list[int]
) -> LintReport:
    """Sum up a file: what was found in it, and how long its usable lines are."""
    found = Findings()
    for finding in findings:
        found.add(finding)
    overlap = overlap_finding(found.counts["leaked"], len(lengths), facts.noun)
    if overlap is not None:
        found.add(overlap)
    errors, warnings = found.severities["error"], found.severities["warning"]
    return LintReport(
        path=str(facts.path),
        verdict="error" if errors else "warning" if warnings else "ok",
        num_lines=facts.num_lines,
        num_prompts=len(lengths),
        num_answers=facts.num_answers,
        num_errors=errors,
        num_warnings=warnings,
        num_duplicates=found.counts["duplicate"],
        num_leaked=found.counts["leaked"],
        num_unlisted=found.num_unlisted,
        counts=dict(sorted(found.counts.items())),
        findings=found.listed(),
        lengths=histogram(lengths, "tokens" if ruler.tokenizer else "characters"),
        pictures=facts.pictures,
    )


def _usable(path: Path | None, ruler: Ruler) -> tuple[frozenset[bytes], frozenset[str]]:
    """What tells the conversations of another file, and its pictures."""
    conversations: set[bytes] = set()
    pictures: set[str] = set()
    lint = PictureLint(ruler.sight)
    for found in () if path is None else read_conversations(path):
        if isinstance(found, Conversation):
            marks = lint.take(found.line, found.pictures).marks
            conversations.add(conversation_mark(found, marks))
            pictures.update(marks)
    return frozenset(conversations), frozenset(pictures)


def _text(found: Conversation, ruler: Ruler) -> str:
    if ruler.template is not None:
        return _rendered(ruler.template, found)
    return "\n".join(content_text(message.get("content")) for message in found.messages)


def _rendered(template: ChatTemplate, found: Conversation) -> str:
    """A conversation as a template writes it, all calls of tools included, or a DatasetError."""
    for place, message in enumerate(found.messages, 1):
        if message["role"] == "assistant" and calls_tools(message):
            before = found.messages[:place]
            written = template.render(before, False, tools=found.tools)
            refuse_unwritten_calls(template, before, written, found.tools)
    return template.render(found.messages, add_generation_prompt=False, tools=found.tools)


def _warning(found: Conversation, code: str, message: str, fix: str) -> Finding:
    return Finding(line=found.line, severity="warning", code=code, message=message, fix=fix)
