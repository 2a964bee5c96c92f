"""OpenAssistant's trees of messages, as one conversation each: the best-ranked reply every time.

Its file has either a tree a line or a message a line with the id of the one before. Rank 0 is the
best; deleted messages and what hangs on them are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from OnPolicyDistill.datasets.messages import Message

Values = Mapping[str, JsonValue]
ROLES = {"prompter": "user", "assistant": "assistant"}


@dataclass(slots=True)
class _Node:
    values: Values
    replies: list[_Node] = field(default_factory=list)


def is_tree(values: Values) -> bool:
    """Whether a line is a whole tree."""
    prompt = values.get("prompt")
    return "message_tree_id" in values and isinstance(prompt, dict) and "replies" in prompt


def is_message(values: Values) -> bool:
    """Whether a line is one message of a tree."""
    return "message_id" in values and "parent_id" in values and values.get("role") in ROLES


def of_tree(values: Values) -> tuple[Message, ...]:
    """The conversation of a tree; empty where nobody answered."""
    prompt = values["prompt"]
    return () if not isinstance(prompt, dict) else _best_path(_nested(prompt))


def of_messages(lines: Sequence[Values]) -> Iterator[tuple[int, tuple[Message, ...]]]:
    """The place of each tree's first message among lines, and its conversation, if it has one."""
    nodes = {str(values.get("message_id")): _Node(values) for values in lines}
    for values in lines:
        parent = nodes.get(str(values.get("parent_id")))
        if parent is not None:
            parent.replies.append(nodes[str(values.get("message_id"))])
    for place, values in enumerate(lines):
        if values.get("parent_id") is None:
            yield place, _best_path(nodes[str(values.get("message_id"))])


def _nested(values: Values) -> _Node:
    """A tree as nodes; as deep as the file is, which JSON bounds."""
    replies = values.get("replies")
    listed = replies if isinstance(replies, list) else []
    return _Node(values, [_nested(reply) for reply in listed if isinstance(reply, dict)])


def _best_path(root: _Node) -> tuple[Message, ...]:
    messages: list[Message] = []
    node: _Node | None = root
    seen: set[int] = set()
    while node is not None and id(node) not in seen:
        seen.add(id(node))
        text, role = node.values.get("text"), node.values.get("role")
        if not isinstance(text, str) or role not in ROLES or node.values.get("deleted") is True:
            break
        messages.append({"role": ROLES[str(role)], "content": text})
        node = min(node.replies, key=_rank, default=None)
    while messages and messages[-1]["role"] != "assistant":
        messages.pop()
    return tuple(messages)


def _rank(node: _Node) -> float:
    rank = node.values.get("rank")
    is_rank = isinstance(rank, int | float) and not isinstance(rank, bool)
    is_deleted = node.values.get("deleted") is True
    return float("inf") if is_deleted or not is_rank else float(str(rank))
