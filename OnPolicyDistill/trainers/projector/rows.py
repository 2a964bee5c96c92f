"""Conversations about pictures as rows of tokens, in which a language model learns to see.

A language model's template knows words alone, so every picture is written as a mark into the words
of its message, and its places take the mark's place once the text is tokens. What is learned are
the answers of the assistant without their thoughts: the template writes an empty thought where
thinking is off, which belongs to the prompt. Every answer is a row of its own behind the history as
the template writes it then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.datasets.assistant_turns import CLOSES, OPENS
from OnPolicyDistill.datasets.conversations import load_conversations
from OnPolicyDistill.datasets.messages import Message, is_learned
from OnPolicyDistill.datasets.pictures import open_picture
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.grading.boxed import last_box
from OnPolicyDistill.models.policy import Policy, encode_text, is_picture, marked
from OnPolicyDistill.pictures import Picture, PictureBook, Sight
from OnPolicyDistill.settings.projector import Targets
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.training.conversation_rows import ConversationRow

PLACE, BEGINS, ENDS = "<|image_pad|>", "<|vision_start|>", "<|vision_end|>"
MARKS = re.compile(f"{OPENS}|{CLOSES}")
THOUGHT = re.compile(f"{OPENS}.*?{CLOSES}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Pictured:
    """A conversation with its pictures in the order of their parts; `line` is that of its file."""

    messages: tuple[Message, ...]
    pictures: tuple[Picture, ...]
    file: Path
    line: int

    @property
    def num_before(self) -> int:
        """How many messages stand before the last answer."""
        places = [n for n, message in enumerate(self.messages) if message["role"] == "assistant"]
        return places[-1]


@dataclass(frozen=True, slots=True)
class Writing:
    """How conversations become tokens for one model."""

    policy: Policy
    book: PictureBook
    targets: Targets = "strip"
    markers: bool = True

    def prompt_ids(
        self,
        conversation: Pictured,
        place: int,
        thinking: bool = False,
    ) -> tuple[int, ...]:
        """Token ids of what stands before the message at `place`.

        Raises:
            DatasetError: the words hold the mark of a picture, or the template refuses them.
        """
        mark = f"{BEGINS}{PLACE}{ENDS}" if self.markers else PLACE
        before = [marked(message, mark) for message in conversation.messages[:place]]
        text = self.policy.chat_template.render(before, enable_thinking=thinking)
        ids = encode_text(self.policy, text)
        (pad,) = encode_text(self.policy, PLACE)
        if ids.count(pad) != _num_pictures(conversation.messages[:place]):
            raise DatasetError(
                f"The words hold {PLACE}, which stands for a picture.",
                "Take it out.",
                conversation.file,
                conversation.line,
            )
        left = iter(conversation.pictures)
        placed = (self.book.ids_of(next(left)) if each == pad else (each,) for each in ids)
        return tuple(token for tokens in placed for token in tokens)

    def answer_ids(self, answer: str) -> tuple[int, ...]:
        """Token ids of an answer with what ends the assistant's turn."""
        closing = encode_text(self.policy, self.policy.chat_template.closing())
        ends = [n for n, token in enumerate(closing) if token in self.policy.stop_ids]
        end = closing[: ends[0] + 1] if ends else [min(self.policy.stop_ids)]
        return (*encode_text(self.policy, answer), *end)

    def target(self, conversation: Pictured, place: int) -> str:
        """What is learned of the message at `place`.

        Raises:
            DatasetError: its thoughts do not open and close, or nothing is left without them.
        """
        message = conversation.messages[place]
        where = conversation.file, conversation.line
        answer = without_thoughts(content_text(message.get("content")), *where)
        if self.targets == "answer":
            answer = final_answer(answer)
        if not answer:
            raise DatasetError(
                "Without its thought nothing is left of an answer.", "Remove the line.", *where
            )
        return answer

    def rows(self, conversation: Pictured) -> tuple[ConversationRow, ...]:
        """A row for each answer of a conversation."""
        rows = []
        for place, message in enumerate(conversation.messages):
            if message["role"] == "assistant" and is_learned(message):
                prompt = self.prompt_ids(conversation, place)
                ids = (*prompt, *self.answer_ids(self.target(conversation, place)))
                learned = tuple(range(len(prompt), len(ids)))
                rows.append(ConversationRow(ids, learned, conversation.line))
        return tuple(rows)


def read_pictured(file: Path, sight: Sight) -> tuple[Pictured, ...]:
    """Read conversations and open their pictures, each of which is decoded once.

    Raises:
        DatasetError: a line or a picture cannot be used; names file and line.
    """
    read = []
    for conversation in load_conversations(file, sees=True):
        check_stop()
        pictures = tuple(open_picture(source, sight) for source in conversation.pictures)
        read.append(Pictured(conversation.messages, pictures, file, conversation.line))
    if not any(one.pictures for one in read):
        raise DatasetError(
            "No conversation has a picture, so there is nothing to see.",
            'Name pictures: "images": ["picture.png"].',
            file,
        )
    return tuple(read)


def final_answer(text: str) -> str:
    """What is in the last box of an answer, else the answer itself."""
    found = last_box(text)
    return found if isinstance(found, str) else text.strip()


def without_thoughts(text: str, file: Path, line: int) -> str:
    """Take every thought out of an answer.

    Raises:
        DatasetError: one is opened and not closed, closed and not opened, or opened inside another.
    """
    marks = MARKS.findall(text)
    if marks != [OPENS, CLOSES] * (len(marks) // 2):
        raise DatasetError(
            f"An answer has {marks.count(OPENS)} {OPENS} and {marks.count(CLOSES)} {CLOSES} that "
            "do not open and close thoughts, so that it cannot be told from them.",
            "Write thoughts that close, one after the other, or none.",
            file,
            line,
        )
    return THOUGHT.sub("", text).strip()


def _num_pictures(messages: Sequence[Message]) -> int:
    contents = (message.get("content") for message in messages)
    lists = (content for content in contents if isinstance(content, list))
    return sum(is_picture(part) for parts in lists for part in parts)
