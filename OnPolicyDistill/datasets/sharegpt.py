"""Conversations in ShareGPT's layout, {"conversations": [{"from": "human", "value": "..."}, ...]}.

LLaVA's sets have it too, with `image` beside the conversation and `<image>` in its words.
"""

from __future__ import annotations

from pydantic import JsonValue

from OnPolicyDistill.datasets.records import BadLine, Record

KEYS = ("conversations", "system")
# Who speaks in ShareGPT files, in the words of the tools that write them.
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
}


def sharegpt_messages(record: Record) -> list[JsonValue] | BadLine:
    """The turns of a line as messages, behind its `system` where there is one."""
    turns, messages = record.values["conversations"], list[JsonValue]()
    system = record.values.get("system")
    if isinstance(system, str) and system:
        messages.append({"role": "system", "content": system})
    for turn in turns if isinstance(turns, list) else []:
        speaker = turn.get("from") if isinstance(turn, dict) else None
        if not isinstance(turn, dict) or str(speaker) not in ROLES:
            message = f"A turn is from {speaker!r}, who is none of {', '.join(ROLES)}."
            return BadLine(record.line, "unknown_role", message, "Name who speaks, or remove it.")
        rest = {key: value for key, value in turn.items() if key not in ("from", "value")}
        messages.append({**rest, "role": ROLES[str(speaker)], "content": turn.get("value")})
    return messages
