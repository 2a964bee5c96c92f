"""Conversations as rows of tokens that know which of them are to be learned.

What is learned are the assistant's own tokens, its end-of-sequence token included, exactly as it
would have to generate them: each turn begins where the chat template's opening ends. The offsets
come from rendering the conversation up to every turn, not from searching for header tokens.

Letters: B rows, T padded length, N learned positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.datasets.conversations import Conversation
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.models.policy import Policy, encode_text
from OnPolicyDistill.rollout import PackedBatch, bucket_length


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """Token ids of a conversation and the places of those to learn, never the first."""

    token_ids: tuple[int, ...]
    learned: tuple[int, ...]


def encode_conversation(policy: Policy, conversation: Conversation) -> ConversationRow:
    """Tokenize a conversation with the policy's chat template.

    What follows the last end-of-sequence token, such as a newline, is left out.

    Raises:
        DatasetError: the template refuses the conversation, or writes a turn differently once
            others follow, so that it cannot be learned as it would be generated.
    """
    ids: list[int] = []
    learned: list[int] = []
    written = ""
    for place, message in enumerate(conversation.messages):
        if message["role"] != "assistant":
            continue
        before = policy.chat_template.render(conversation.messages[:place])
        through = policy.chat_template.render(
            conversation.messages[: place + 1], add_generation_prompt=False
        )
        if not before.startswith(written) or not through.startswith(before):
            raise DatasetError(
                f"Line {conversation.line}: the chat template of {policy.name} rewrites earlier "
                "turns, so they cannot be learned as they would be generated.",
                "Give each answer a conversation of its own, or use a template made for training.",
            )
        ids.extend(encode_text(policy, before[len(written) :]))
        turn, rest = _split_turn(policy, encode_text(policy, through[len(before) :]))
        learned.extend(range(len(ids), len(ids) + len(turn)))
        ids.extend(turn + rest)
        written = through
    return ConversationRow(tuple(ids[: learned[-1] + 1]), tuple(learned))


def pack_rows(rows: Sequence[ConversationRow], pad_id: int = 0) -> PackedBatch:
    """Right-pad rows into one batch; the logits at place p - 1 predict the token at p."""
    T = bucket_length(max(len(row.token_ids) for row in rows))
    tokens = [list(row.token_ids) + [pad_id] * (T - len(row.token_ids)) for row in rows]
    positions = [number * T + p - 1 for number, row in enumerate(rows) for p in row.learned]
    labels = [row.token_ids[p] for row in rows for p in row.learned]
    return PackedBatch(mx.array(tokens), mx.array(positions), mx.array(labels))


def _split_turn(policy: Policy, ids: list[int]) -> tuple[list[int], list[int]]:
    """Cut a turn's tokens behind its last end-of-sequence token, where it has one."""
    ends = [place for place, token in enumerate(ids) if token in policy.stop_ids]
    cut = ends[-1] + 1 if ends else len(ids)
    return ids[:cut], ids[cut:]
