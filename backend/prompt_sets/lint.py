"""Lint reports and previews of sets, measured with a model's own tokenizer and template."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

from backend.models.place import Hub
from backend.problems import WrongFieldError
from backend.prompt_sets.pictures import preview_picture
from backend.prompt_sets.views import PreviewItem, PreviewPage
from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.conversations import read_conversations
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.labelled import LabelledItem, read_items
from OnPolicyDistill.datasets.linter import LintReport, Ruler, lint_prompts
from OnPolicyDistill.datasets.picture_prompts import unread_picture
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.prompt_rules import Finding, problem_finding
from OnPolicyDistill.datasets.prompts import Message, Prompt, content_text, read_prompts
from OnPolicyDistill.datasets.records import BadLine
from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT, sight_of_folder
from OnPolicyDistill.datasets.tokenizer_files import TokenizerFiles, load_tokenizer_files
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.registry import local_folder

KEPT_REPORTS = 16
SHOWN_CHARACTERS = 20_000
SHOWN_TOKENS = 2_000


@dataclass(frozen=True, slots=True)
class LintQuestion:
    """What is to be linted; `model` is a name, and None counts characters."""

    file: Path
    other: Path | None = None
    model: str | None = None
    max_prompt_tokens: int = 2048

    def fingerprint(self) -> tuple[str, ...]:
        """Return what changes when the answer may."""
        files = [self.file] if self.other is None else [self.file, self.other]
        marks = (f"{f}:{f.stat().st_mtime_ns}:{f.stat().st_size}" for f in files)
        return (*marks, str(self.model), str(self.max_prompt_tokens))


class Linter:
    """Keeps the last reports, because a page asks for the same one again and again."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._reports: OrderedDict[tuple[str, ...], LintReport] = OrderedDict()
        self._lock = Lock()

    def lint(self, question: LintQuestion) -> LintReport:
        """Check a file of prompts.

        Raises:
            DatasetError: a file cannot be read.
            ModelError: the model's tokenizer or template is damaged.
            WrongFieldError: the model is not on this machine.
        """
        key = question.fingerprint()
        with self._lock:
            known = self._reports.get(key)
        if known is not None:
            return known
        ruler = ruler_of(self._hub, question.model, question.max_prompt_tokens)
        report = lint_prompts(question.file, question.other, ruler)
        if report.pictures is not None:
            return report  # their files may change while the set's does not
        with self._lock:
            self._reports[key] = report
            while len(self._reports) > KEPT_REPORTS:
                self._reports.popitem(last=False)
        return report


def ruler_of(hub: Hub, model: str | None, max_prompt_tokens: int = 2048) -> Ruler:
    """Measure as a model on this machine would.

    Raises:
        WrongFieldError: it is not here.
        ModelError: its files are damaged.
    """
    if model is None:
        return Ruler(max_prompt_tokens=max_prompt_tokens, sight=DEFAULT_SIGHT)
    folder = local_folder(model, hub.cache_dir)
    if folder is None:
        raise WrongFieldError("query.model", f"{model[:200]} is not on this machine.")
    tokenizer, template = load_tokenizer_files(folder), ChatTemplate.load(folder)
    return Ruler(tokenizer, template, max_prompt_tokens, sight_of_folder(folder))


def preview(file: Path, kind: SetKind, ruler: Ruler, offset: int, limit: int) -> PreviewPage:
    """Show some lines of a set, in order.

    Raises:
        DatasetError: the file cannot be read.
        ModelError: the template does not come to an end.
    """
    lines = list(islice(_lines(file, kind), offset, offset + limit + 1))
    items = tuple(_item(line, ruler) for line in lines[:limit])
    return PreviewPage(items=items, offset=offset, has_more=len(lines) > limit)


@dataclass(frozen=True, slots=True)
class _Line:
    """A usable line: what a model reads, and what it should answer where the line says so."""

    line: int
    messages: tuple[Message, ...]
    answer: str | None
    waits: bool  # for an answer, which the template then opens
    pictures: tuple[PictureSource, ...] = ()


def _lines(file: Path, kind: SetKind) -> Iterator[_Line | BadLine]:
    if kind in ("inputs", "text"):
        for line, item in read_items(file):
            yield item if isinstance(item, BadLine) else _line_of_input(line, item)
        return
    for found in read_prompts(file) if kind == "prompts" else read_conversations(file):
        if isinstance(found, BadLine):
            yield found
        elif isinstance(found, Prompt):
            yield _Line(found.line, found.messages, found.answer, True, found.pictures)
        else:
            yield _Line(found.line, found.messages, None, False, found.pictures)


def _line_of_input(line: int, item: LabelledItem) -> _Line:
    message: Message = {"role": "user", "content": item.content}
    return _Line(line, (message,), item.gold, True, item.pictures)


def _item(found: _Line | BadLine, ruler: Ruler) -> PreviewItem:
    if isinstance(found, BadLine):
        return PreviewItem(line=found.line, text="", problem=problem_finding(found))
    text = content_text(found.messages[-1].get("content"))[:SHOWN_CHARACTERS]
    sight = ruler.sight or DEFAULT_SIGHT
    pictures = [preview_picture(source, n, sight) for n, source in enumerate(found.pictures, 1)]
    plain = PreviewItem(line=found.line, text=text, answer=found.answer, pictures=tuple(pictures))
    if found.pictures and ruler.sight is None:
        problem = problem_finding(unread_picture(found.line))
        return plain.model_copy(update={"problem": problem})
    if ruler.template is None or ruler.tokenizer is None:
        return plain
    try:
        rendered = ruler.template.render(found.messages, add_generation_prompt=found.waits)
    except DatasetError as error:
        return plain.model_copy(update={"problem": _refused(found.line, error)})
    count, pieces = _pieces(ruler.tokenizer, rendered)
    num_tokens = sum(picture.num_tokens or 1 for picture in pictures)
    count += ruler.length_of_pictures(len(pictures), num_tokens)
    return plain.model_copy(
        update={"rendered": rendered[:SHOWN_CHARACTERS], "num_tokens": count, "tokens": pieces}
    )


def _pieces(tokenizer: TokenizerFiles, text: str) -> tuple[int, tuple[str, ...]]:
    """Count tokens and cut the text at their borders; a character may take several tokens."""
    offsets: list[tuple[int, int]] = tokenizer.tokenizer.encode(
        text, add_special_tokens=False
    ).offsets
    return len(offsets), tuple(text[start:end] for start, end in offsets[:SHOWN_TOKENS])


def _refused(line: int, error: DatasetError) -> Finding:
    return Finding(
        line=line,
        severity="error",
        code="template_refuses",
        message=error.message,
        fix=error.action,
    )
