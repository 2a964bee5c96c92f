"""What the linter looks for in one prompt, and what makes two prompts the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.datasets.prompts import Prompt, content_text
from OnPolicyDistill.datasets.records import BadLine

Severity = Literal["error", "warning", "note"]

ROLES = ("system", "developer", "user", "assistant", "tool")
TEMPLATE_MARKS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|user|>",
    "<|assistant|>",
    "<|start_header_id|>",
    "<|endoftext|>",
    "<\uff5cUser\uff5c>",
    "<start_of_turn>",
    "[INST]",
    "<<SYS>>",
)
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
EDGE_PUNCTUATION = " .,;:!?…\"'`"
LONG_ANSWER = 8
GIVEN_ANSWER = re.compile(r"\banswer(?: is)?\s*[:=]?\s*(.{1,80})$", re.IGNORECASE)


class Finding(BaseModel):
    """One thing to know about a prompt file; `line` is empty where it is about the whole set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    line: int | None = Field(description="1-based line of the file.")
    severity: Severity
    code: str
    message: str
    fix: str
    num_lines: int = Field(1, description="Lines of which the same is true.")
    lines: tuple[int, ...] = Field((), description="The first of them, where there are several.")


def problem_finding(problem: BadLine) -> Finding:
    """A line that cannot be used is an error."""
    return Finding(
        line=problem.line,
        severity="error",
        code=problem.code,
        message=problem.message,
        fix=problem.fix,
    )


def prompt_findings(prompt: Prompt) -> Iterator[Finding]:
    """Yield what is odd about the words of one usable prompt."""
    words = [content_text(message.get("content")) for message in prompt.messages]
    yield from _template_marks(prompt, words)
    yield from _texture(prompt, words)
    yield from _roles(prompt)
    yield from _answer_inside(prompt)


def exact_fingerprint(prompt: Prompt, marks: Sequence[str]) -> bytes:
    """Equal for prompts with the same roles, words and pictures; `marks` tell pictures apart."""
    turns = (
        f"{message['role']}\0{content_text(message.get('content'))}" for message in prompt.messages
    )
    return text_digest("\0".join((*turns, *marks)))


def normalized_fingerprint(prompt: Prompt, marks: Sequence[str]) -> bytes:
    """Equal also for prompts that differ in case, spaces and the punctuation at their edges."""
    words = (content_text(message.get("content")) for message in prompt.messages)
    return text_digest("\0".join((*map(normalized_text, words), *marks)))


def normalized_text(text: str) -> str:
    """A text without what does not count: case, spaces, and the punctuation at its edges."""
    return " ".join(text.casefold().split()).strip(EDGE_PUNCTUATION)


def text_digest(text: str) -> bytes:
    """A short hash of a text: equal only for equal ones, as far as can be counted on."""
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _template_marks(prompt: Prompt, words: list[str]) -> Iterator[Finding]:
    mark = next((mark for mark in TEMPLATE_MARKS for text in words if mark in text), None)
    if mark is not None:
        message = f"The prompt holds {mark}, so it looks already put into a chat template."
        fix = "Give the plain question; the model's own template is applied to it."
        yield _finding(prompt, "warning", "already_templated", message, fix)


def _texture(prompt: Prompt, words: list[str]) -> Iterator[Finding]:
    if any(text != text.strip() for text in words):
        message = "The prompt begins or ends with spaces or newlines."
        yield _finding(prompt, "note", "edge_whitespace", message, "Remove them.")
    if any(REPLACEMENT in text for text in words):
        message = "The prompt holds the mark of characters lost in a wrong encoding."
        yield _finding(prompt, "warning", "lost_characters", message, "Export it again as UTF-8.")


def _roles(prompt: Prompt) -> Iterator[Finding]:
    roles = [str(message["role"]) for message in prompt.messages]
    unknown = next((role for role in roles if role not in ROLES), None)
    if unknown is not None:
        message = f"Most chat templates drop the role {unknown!r} without a word."
        yield _finding(
            prompt, "warning", "unknown_role", message, f"Use one of {', '.join(ROLES)}."
        )
    if "system" in roles[1:]:
        message = "A system message stands after the first; many templates refuse that."
        yield _finding(prompt, "warning", "late_system", message, "Put it first.")


def _answer_inside(prompt: Prompt) -> Iterator[Finding]:
    answer = (prompt.answer or "").strip().casefold()
    if not answer:
        return
    text = prompt.text.strip().casefold()
    given = GIVEN_ANSWER.search(text) if "answer" in text else None
    told = given is not None and given.group(1).strip(EDGE_PUNCTUATION) == answer
    if told or (len(answer) >= LONG_ANSWER and answer in text):
        message = "The prompt holds its own answer."
        fix = "Take it out, unless choosing among given answers is the task."
        yield _finding(prompt, "warning", "answer_inside", message, fix)


def _finding(prompt: Prompt, severity: Severity, code: str, message: str, fix: str) -> Finding:
    return Finding(line=prompt.line, severity=severity, code=code, message=message, fix=fix)
