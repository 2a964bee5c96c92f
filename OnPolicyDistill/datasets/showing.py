"""The lines of a file for people: their words, or what a model reads of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.datasets.conversations import Conversation, load_conversations
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.labelled import LabelledItem, load_items
from OnPolicyDistill.datasets.linter import Ruler
from OnPolicyDistill.datasets.prompts import Prompt, content_text, load_prompts


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line by its number in the file, or by its place where a text has no numbers."""

    line: int
    text: str
    answer: str | None


def shown_lines(file: Path, kind: SetKind, ruler: Ruler | None) -> Sequence[ShownLine]:
    """All lines of a file, rendered where the ruler has a template.

    Raises:
        DatasetError: a line cannot be used, or the template refuses it.
        ModelError: the template is broken.
    """
    if kind == "conversations":
        return [_of_conversation(one, ruler) for one in load_conversations(file, sees=True)]
    if kind == "prompts":
        return [_of_prompt(one, ruler) for one in load_prompts(file, sees=True).prompts]
    return [_of_item(one, ruler) for one in load_items(file, sees=True)]


def _of_prompt(prompt: Prompt, ruler: Ruler | None) -> ShownLine:
    text = prompt.text if ruler is None else ruler.text_of(prompt)
    return ShownLine(prompt.line, text, prompt.answer)


def _of_conversation(found: Conversation, ruler: Ruler | None) -> ShownLine:
    if ruler is not None and ruler.template is not None:
        rendered = ruler.template.render(found.messages, False, tools=found.tools)
        return ShownLine(found.line, rendered, None)
    *before, last = found.messages
    asked = "\n".join(content_text(message.get("content")) for message in before)
    return ShownLine(found.line, asked, content_text(last.get("content")))


def _of_item(item: LabelledItem, ruler: Ruler | None) -> ShownLine:
    text = item.text
    if ruler is not None and ruler.template is not None:
        text = ruler.template.render(({"role": "user", "content": item.content},))
    return ShownLine(item.index + 1, text, item.gold)
