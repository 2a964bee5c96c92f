"""Conversations as rows of tokens that know which of them are to be learned.

What is learned are the assistant's own tokens, its end-of-sequence token included, exactly as it
would have to generate them (datasets/assistant_turns.py). The offsets come from rendering the
conversation up to every turn, not from searching for header tokens.

Pictures stand in a prompt as the ids of their places (pictures.py); they are never learned.

A conversation is one row as long as each prompt continues the text before it. Where the template
rewrites history, as those of thinking models do, a new row begins with that turn: every answer is
then learned behind the history that the model will really see, at the price of reading it again.

Letters: B rows, T padded length, N learned positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import mlx.core as mx

from OnPolicyDistill.datasets.assistant_turns import Turn, assistant_turns, without_reasoning
from OnPolicyDistill.datasets.conversations import Conversation, load_conversations
from OnPolicyDistill.datasets.messages import Message, calls_tools
from OnPolicyDistill.datasets.pictures import PictureSource, open_picture
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.models.policy import (
    PICTURE_MARKERS,
    Policy,
    encode_text,
    end_texts,
    with_places,
)
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import Picture
from OnPolicyDistill.rollout import PackedBatch, bucket_length
from OnPolicyDistill.runs.reporting import Reporter
from OnPolicyDistill.settings.sft import Thinking
from OnPolicyDistill.training.files import LengthLimit, leave_out_long

# What chat templates of models that see write where a picture is.
PLACEHOLDER = "".join(PICTURE_MARKERS)


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """Token ids of a conversation and the places of those to learn, never the first.

    `conversation` is the line it comes from: rows of one line are one draw of an evaluation.
    """

    token_ids: tuple[int, ...]
    learned: tuple[int, ...]
    conversation: int = 0


def encode_conversation(
    policy: Policy, conversation: Conversation, thinking: Thinking = "keep"
) -> tuple[ConversationRow, ...]:
    """Tokenize a conversation with the policy's chat template: one row, or one for each rewrite.

    `thinking` says whether reasoning is learned or taken out of every answer.

    Raises:
        DatasetError: the template refuses the conversation or leaves a picture out, or an answer
            is nothing but reasoning.
    """
    messages = conversation.messages
    if thinking == "strip":
        messages = tuple(without_reasoning(message) for message in messages)
        _refuse_empty(messages)
    pictures = _opened(policy, conversation.pictures)
    rows: list[ConversationRow] = []
    written = ""
    ends = end_texts(policy)
    for turn in assistant_turns(policy.chat_template, messages, ends, conversation.tools):
        row = rows.pop() if rows and turn.prompt.startswith(written) else None
        shown = "" if row is None else written
        unseen = pictures[shown.count(PLACEHOLDER) :]
        ids = _encoded(policy, turn.prompt[len(shown) :], unseen)
        rows.append(_continued(policy, row, ids, turn))
        written = turn.prompt + turn.completion
    _refuse_unseen(policy, written.count(PLACEHOLDER), len(pictures))
    learned = (row for row in rows if row.learned)
    return tuple(replace(row, conversation=conversation.line) for row in learned)


def encode_file(
    policy: Policy, file: Path, max_tokens: int, reporter: Reporter, thinking: Thinking = "keep"
) -> tuple[ConversationRow, ...]:
    """Tokenize a conversation file; rows of more than `max_tokens` are left out and counted.

    Raises:
        DatasetError: a line cannot be read, or every row is too long.
    """
    conversations = load_conversations(file, sees=policy.sight is not None)
    rows = [row for one in conversations for row in _rows(policy, one, file, thinking)]
    noun = "conversations" if len(rows) == len(conversations) else "rows"
    limit = LengthLimit(max_tokens, "max_length", "conversations_left_out", noun)
    return leave_out_long(rows, lambda row: len(row.token_ids), limit, file, reporter)


def _rows(
    policy: Policy, conversation: Conversation, file: Path, thinking: Thinking
) -> tuple[ConversationRow, ...]:
    try:
        return encode_conversation(policy, conversation, thinking)
    except DatasetError as error:
        if error.line is not None:
            raise
        raise DatasetError(error.what, error.action, file, conversation.line) from error


def _opened(policy: Policy, sources: Sequence[PictureSource]) -> list[Picture]:
    """Pictures as the policy reads them.

    Raises:
        DatasetError: the policy does not see, or a picture cannot be read.
    """
    if not sources:
        return []
    if policy.sight is None:
        raise DatasetError(
            f"The conversation has a picture, and {policy.name} sees none.",
            "Use a method and a model that see pictures, or take the line out.",
        )
    return [open_picture(source, policy.sight) for source in sources]


def _encoded(policy: Policy, text: str, unseen: Sequence[Picture]) -> tuple[int, ...]:
    """Token ids of a text, with the places of the next pictures where it has placeholders."""
    words = encode_text(policy, text)
    shown = unseen[: text.count(PLACEHOLDER)]
    if not shown:
        return tuple(words)
    assert isinstance(policy.model, SeeingModel)
    return with_places(policy, words, shown, policy.model.book)


def _refuse_unseen(policy: Policy, num_shown: int, num_pictures: int) -> None:
    if num_shown < num_pictures:
        raise DatasetError(
            f"The conversation has {num_pictures} pictures, and the chat template of "
            f"{policy.name} shows {num_shown} of them.",
            "Use a model whose template has a place for pictures.",
        )


def _continued(
    policy: Policy, row: ConversationRow | None, prompt: Sequence[int], turn: Turn
) -> ConversationRow:
    """Add a turn behind its prompt to a row, or begin one with them."""
    ids, learned = ((), ()) if row is None else (row.token_ids, row.learned)
    ids = (*ids, *prompt)
    end = (*ids, *encode_text(policy, turn.completion))
    added = range(len(ids), len(end)) if turn.is_learned else ()
    return ConversationRow(end, (*learned, *added))


def _refuse_empty(messages: Sequence[Message]) -> None:
    for message in messages:
        if message["role"] != "assistant" or calls_tools(message):
            continue
        if not content_text(message.get("content")).strip():
            raise DatasetError(
                "Without its reasoning nothing is left of an answer.",
                "Remove the line, or set thinking to keep.",
            )


def pack_rows(rows: Sequence[ConversationRow], pad_id: int = 0) -> PackedBatch:
    """Right-pad rows into one batch; the logits at place p - 1 predict the token at p."""
    T = bucket_length(max(len(row.token_ids) for row in rows))
    tokens = [list(row.token_ids) + [pad_id] * (T - len(row.token_ids)) for row in rows]
    positions = [number * T + p - 1 for number, row in enumerate(rows) for p in row.learned]
    labels = [row.token_ids[p] for row in rows for p in row.learned]
    return PackedBatch(mx.array(tokens), mx.array(positions), mx.array(labels))
