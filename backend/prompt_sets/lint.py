"""Rulers and previews of sets, measured with a model's own tokenizer and template.

What is here reads files that nobody vouches for: it runs behind the door.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pydantic import JsonValue

from backend.prompt_sets.pictures import preview_picture
from backend.prompt_sets.views import PreviewItem, PreviewPage
from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.conversations import read_conversations
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.labelled import LabelledItem, read_items
from OnPolicyDistill.datasets.linter import Ruler
from OnPolicyDistill.datasets.messages import Message
from OnPolicyDistill.datasets.picture_prompts import unread_picture
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.prompt_rules import Finding, problem_finding
from OnPolicyDistill.datasets.prompts import Prompt, content_text, read_prompts
from OnPolicyDistill.datasets.records import BadLine
from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT, sight_of_folder
from OnPolicyDistill.datasets.tokenizer_files import TokenizerFiles, load_tokenizer_files
from OnPolicyDistill.errors import DatasetError

SHOWN_CHARACTERS = 20_000
SHOWN_TOKENS = 2_000


def ruler_of_folder(folder: Path | None, max_prompt_tokens: int = 2048) -> Ruler:
    """Measure as the model in a folder would; in characters without one.

    Raises:
        ModelError: its files are damaged.
    """
    if folder is None:
        return Ruler(max_prompt_tokens=max_prompt_tokens, sight=DEFAULT_SIGHT)
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
    tools: tuple[JsonValue, ...] = ()


def _lines(file: Path, kind: SetKind) -> Iterator[_Line | BadLine]:
    if kind in ("inputs", "text"):
        for line, item in read_items(file):
            yield item if isinstance(item, BadLine) else _line_of_input(line, item)
        return
    for found in read_prompts(file) if kind == "prompts" else read_conversations(file):
        if isinstance(found, BadLine):
            yield found
        elif isinstance(found, Prompt):
            yield _Line(found.line, found.messages, found.answer, True, found.pictures, found.tools)
        else:
            yield _Line(found.line, found.messages, None, False, found.pictures, found.tools)


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
        rendered = ruler.template.render(found.messages, found.waits, tools=found.tools)
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
        message=error.what,
        fix=error.action,
    )
