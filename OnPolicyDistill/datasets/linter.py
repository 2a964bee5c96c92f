"""The prompt linter: what is wrong or odd in a prompt file, with line numbers and what to do.

It reads the file once and keeps two short hashes a line, so that files of any size can be linted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.findings import Findings
from OnPolicyDistill.datasets.lengths import LengthHistogram, histogram
from OnPolicyDistill.datasets.overlap import overlap_finding
from OnPolicyDistill.datasets.picture_linter import PictureFacts, PictureLint, Progress
from OnPolicyDistill.datasets.prompt_rules import (
    Finding,
    exact_fingerprint,
    normalized_fingerprint,
    problem_finding,
    prompt_findings,
)
from OnPolicyDistill.datasets.prompts import Prompt, content_text, read_prompts
from OnPolicyDistill.datasets.records import BadLine
from OnPolicyDistill.datasets.tokenizer_files import TokenizerFiles
from OnPolicyDistill.errors import DatasetError

if TYPE_CHECKING:
    from OnPolicyDistill.pictures import Sight

CHUNK = 1000
CHARACTERS_PER_TOKEN = 4
FEW_PROMPTS = 8


class LintReport(BaseModel):
    """What the linter found; `counts` has every finding by code, `findings` the first of each.

    Equal findings of several lines are one, which counts them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    verdict: Literal["ok", "warning", "error"]
    num_lines: int = Field(description="Lines that are not blank.")
    num_prompts: int = Field(description="Lines that can be used.")
    num_answers: int = Field(description="Prompts with a right answer.")
    num_errors: int
    num_warnings: int
    num_duplicates: int
    num_leaked: int = Field(description="Prompts that the other set has too.")
    num_unlisted: int = Field(description="Findings left out of the list.")
    counts: dict[str, int]
    findings: tuple[Finding, ...]
    lengths: LengthHistogram
    pictures: PictureFacts | None = Field(
        None, description="Of the set's pictures; none where it has no pictures that are read."
    )


@dataclass(frozen=True, slots=True)
class Ruler:
    """Measures prompts: in tokens with a tokenizer, else in characters.

    `sight` is how pictures are read; without one, lines with pictures cannot be used.
    """

    tokenizer: TokenizerFiles | None = None
    template: ChatTemplate | None = None
    max_prompt_tokens: int = 2048
    sight: Sight | None = None

    @property
    def limit(self) -> int:
        """Longest usable prompt, in this ruler's units."""
        in_tokens = self.tokenizer is not None
        return self.max_prompt_tokens * (1 if in_tokens else CHARACTERS_PER_TOKEN)

    def text_of(self, prompt: Prompt) -> str:
        """The text that is measured; DatasetError where the template refuses the prompt."""
        if self.template is not None:
            return self.template.render(prompt.messages, tools=prompt.tools)
        return "\n".join(content_text(message.get("content")) for message in prompt.messages)

    def measure(self, texts: list[str]) -> list[int]:
        """Lengths of texts."""
        if self.tokenizer is None:
            return [len(text) for text in texts]
        return self.tokenizer.count_all(texts)

    def length_of_pictures(self, num_pictures: int, num_tokens: int) -> int:
        """What pictures add to a text in which each has a placeholder of one token."""
        if self.tokenizer is None:
            return num_tokens * CHARACTERS_PER_TOKEN
        return max(num_tokens - num_pictures, 0)


def lint_prompts(
    path: Path,
    other: Path | None = None,
    ruler: Ruler | None = None,
    progress: Progress | None = None,
) -> LintReport:
    """Check a prompt file; with `other`, also for prompts that both files have.

    Raises:
        DatasetError: a file does not exist or cannot be read at all.
        ModelError: the ruler's template or tokenizer is broken.
    """
    ruler = ruler or Ruler()
    elsewhere, marks = _fingerprints(other, ruler.sight)
    lint = _Lint(path, ruler, elsewhere, PictureLint(ruler.sight, marks, progress))
    for chunk in _chunks(read_prompts(path)):
        lint.take(chunk)
    return lint.report()


@dataclass(slots=True)
class _Lint:
    """The state of one pass over a file."""

    path: Path
    ruler: Ruler
    other: frozenset[bytes]
    pictures: PictureLint
    num_lines: int = 0
    num_answers: int = 0
    lengths: list[int] = field(default_factory=list)
    found: Findings = field(default_factory=Findings)
    keys: Counter[str] = field(default_factory=Counter)
    exact: dict[bytes, tuple[int, str | None]] = field(default_factory=dict)
    normalized: dict[bytes, int] = field(default_factory=dict)

    def take(self, chunk: list[Prompt | BadLine]) -> None:
        """Check some lines."""
        usable: list[tuple[Prompt, int]] = []
        for found in chunk:
            self.num_lines += 1
            if isinstance(found, BadLine):
                self.found.add(problem_finding(found))
            else:
                usable.append((found, self._check(found)))
        self._measure(usable)

    def report(self) -> LintReport:
        """Look at the set as a whole and report."""
        self._check_set()
        for finding in self.pictures.of_set():
            self.found.add(finding)
        counts, severities = self.found.counts, self.found.severities
        errors, warnings = severities["error"], severities["warning"]
        return LintReport(
            path=str(self.path),
            verdict="error" if errors else "warning" if warnings else "ok",
            num_lines=self.num_lines,
            num_prompts=len(self.lengths),
            num_answers=self.num_answers,
            num_errors=errors,
            num_warnings=warnings,
            num_duplicates=counts["duplicate"] + counts["near_duplicate"],
            num_leaked=counts["leaked"],
            num_unlisted=self.found.num_unlisted,
            counts=dict(sorted(counts.items())),
            findings=self.found.listed(),
            lengths=histogram(self.lengths, "tokens" if self.ruler.tokenizer else "characters"),
            pictures=self.pictures.facts(),
        )

    def _check(self, prompt: Prompt) -> int:
        """Look at one prompt; what its pictures add to its length."""
        pictures = self.pictures.take(prompt.line, prompt.pictures)
        for finding in (*prompt_findings(prompt), *pictures.findings):
            self.found.add(finding)
        self.num_answers += prompt.answer is not None
        self.keys["images" if prompt.pictures else "text only"] += 1
        self._compare(prompt, pictures.marks)
        return self.ruler.length_of_pictures(len(prompt.pictures), pictures.num_tokens)

    def _compare(self, prompt: Prompt, marks: tuple[str, ...]) -> None:
        exact = exact_fingerprint(prompt, marks)
        normalized = normalized_fingerprint(prompt, marks)
        if normalized in self.other:
            fix = "Remove it from one of the two, or held-out numbers mean nothing."
            message = "The other set has this prompt too."
            self.found.note(prompt.line, "warning", "leaked", message, fix)
        if exact in self.exact:
            line, answer = self.exact[exact]
            message = f"Same as line {line}."
            self.found.note(prompt.line, "warning", "duplicate", message, "Remove one.")
            if answer != prompt.answer:
                message = f"Line {line} gives another answer to the same prompt."
                self.found.note(prompt.line, "warning", "contradiction", message, "Decide for one.")
            return
        self.exact[exact] = (prompt.line, prompt.answer)
        line = self.normalized.setdefault(normalized, prompt.line)
        if line != prompt.line:
            message = f"Same as line {line} but for case, spaces or punctuation."
            self.found.note(prompt.line, "warning", "near_duplicate", message, "Remove one.")

    def _measure(self, prompts: list[tuple[Prompt, int]]) -> None:
        lines, texts, added = [], [], []
        for prompt, length_of_pictures in prompts:
            if prompt.pictures and self.ruler.sight is None:
                continue  # it was refused, and the template may not take pictures
            try:
                texts.append(self.ruler.text_of(prompt))
                lines.append(prompt.line)
                added.append(length_of_pictures)
            except DatasetError as error:
                self.found.note(prompt.line, "error", "template_refuses", error.what, error.action)
        words = self.ruler.measure(texts)
        lengths = [length + more for length, more in zip(words, added, strict=True)]
        self.lengths.extend(lengths)
        for line, length in zip(lines, lengths, strict=True):
            if length > self.ruler.limit:
                unit = "tokens" if self.ruler.tokenizer else "characters"
                message = f"The prompt has {length:,} {unit}; more than {self.ruler.limit:,}."
                fix = "Shorten it or raise max_prompt_tokens; longer prompts are left out."
                self.found.note(line, "warning", "too_long", message, fix)

    def _check_set(self) -> None:
        usable = len(self.lengths)
        if not usable:
            fix = 'Write {"prompt": "..."} lines.'
            self.found.note(None, "error", "no_prompts", "The file has no usable prompts.", fix)
            return
        if usable < FEW_PROMPTS:
            message = f"Only {usable} prompts: few to learn from, and few to measure on."
            fix = "A hundred or more is a start."
            self.found.note(None, "warning", "few_prompts", message, fix)
        if 0 < self.num_answers < usable:
            message = f"{self.num_answers} of {usable} prompts have an answer."
            fix = "Accuracy counts only those; give all prompts an answer or none."
            self.found.note(None, "warning", "some_answers", message, fix)
        if len(self.keys) > 1:
            message = f"{self.keys['images']} of {usable} prompts have images, the others none."
            self.found.note(None, "note", "some_images", message, "Two sets train more evenly.")
        overlap = overlap_finding(self.found.counts["leaked"], usable, "prompts")
        if overlap is not None:
            self.found.add(overlap)


def _fingerprints(
    path: Path | None, sight: Sight | None
) -> tuple[frozenset[bytes], frozenset[str]]:
    """Hashes of the prompts of another file and marks of its pictures.

    Its bad lines are its own linter's business.
    """
    prompts: set[bytes] = set()
    pictures: set[str] = set()
    lint = PictureLint(sight)
    for found in () if path is None else read_prompts(path):
        if isinstance(found, Prompt):
            marks = lint.take(found.line, found.pictures).marks
            prompts.add(normalized_fingerprint(found, marks))
            pictures.update(marks)
    return frozenset(prompts), frozenset(pictures)


def _chunks(found: Iterable[Prompt | BadLine]) -> Iterator[list[Prompt | BadLine]]:
    lines = iter(found)
    while chunk := list(islice(lines, CHUNK)):
        yield chunk
