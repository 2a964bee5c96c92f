"""Conversations in ShareGPT's layout, {"conversations": [{"from": "human", "value": "..."}, ...]}.

LLaVA's sets have it too, with `image` beside the conversation and `<image>` in its words. Some sets
write `role` and `content` in the turns; they are read alike. A turn from `function_call` is a call
of the assistant: JSON with `name` and `arguments`, or a list of such.
"""

from __future__ import annotations

import json

from pydantic import JsonValue

from OnPolicyDistill.datasets.messages import CALLS_KEY
from OnPolicyDistill.datasets.records import BadLine, Record

KEYS = ("conversations", "system")
CALL = "function_call"
# Who speaks in ShareGPT files, in the words of the tools that write them.
ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    CALL: "assistant",
    "system": "system",
    "developer": "developer",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "function_response": "tool",
}


def sharegpt_messages(record: Record) -> list[JsonValue] | BadLine:
    """The turns of a line as messages, behind its `system` where there is one."""
    turns, messages = record.values["conversations"], list[JsonValue]()
    system = record.values.get("system")
    if isinstance(system, str) and system:
        messages.append({"role": "system", "content": system})
    for turn in turns if isinstance(turns, list) else []:
        message = _message(turn, record.line)
        if isinstance(message, BadLine):
            return message
        messages.append(message)
    return messages


def _message(turn: JsonValue, line: int) -> dict[str, JsonValue] | BadLine:
    if not isinstance(turn, dict):
        return BadLine(line, "wrong_type", "A turn is no object.", 'Write {"from": ..., "value"}.')
    speaker, words = ("from", "value") if "from" in turn else ("role", "content")
    name = str(turn.get(speaker))
    if name not in ROLES:
        message = f"A turn is from {turn.get(speaker)!r}, who is none of {', '.join(ROLES)}."
        return BadLine(line, "unknown_role", message, "Name who speaks, or remove it.")
    rest = {key: value for key, value in turn.items() if key not in (speaker, words)}
    value = turn.get(words)
    calls = _calls(value) if name == CALL else None
    if calls is not None:
        return {**rest, "role": ROLES[name], "content": "", CALLS_KEY: calls}
    return {**rest, "role": ROLES[name], "content": value}


def _calls(value: JsonValue) -> list[JsonValue] | None:
    """The calls that a turn's text holds; None where it is written in words of its own."""
    if not isinstance(value, str):
        return None
    try:
        found = json.loads(value)
    except ValueError:
        return None
    calls = found if isinstance(found, list) else [found]
    are_calls = all(isinstance(call, dict) and isinstance(call.get("name"), str) for call in calls)
    if not calls or not are_calls:
        return None
    return [{"type": "function", "function": call} for call in calls]
