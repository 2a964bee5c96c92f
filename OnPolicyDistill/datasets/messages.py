"""Messages of a line, checked and made alike: content is a text, or parts where pictures stand.

Content may be a list of parts, as OpenAI and the sets of vision models have it: parts of words are
put together into their text, and what is neither words nor a picture is refused. A turn of the
assistant may be nothing but calls of tools. `weight: 0` or `train: false` keep a turn from being
learned; it stays in what later turns follow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from OnPolicyDistill.datasets.picture_prompts import LayoutError, is_picture_part
from OnPolicyDistill.datasets.records import BadLine

Message = dict[str, JsonValue]

EXAMPLE = '{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", ...}]}'
TOOLS_KEY, CALLS_KEY = "tools", "tool_calls"
WORD_PARTS = (None, "text", "input_text", "output_text")


def checked_messages(
    value: JsonValue, line: int, name: str = "messages"
) -> list[Message] | BadLine:
    """Messages with plain content, or what is wrong with the first that cannot be used."""
    if not isinstance(value, list) or not value:
        message = f"{name} is not a list with messages."
        return BadLine(line, "wrong_type", message, f"Write {EXAMPLE}.")
    try:
        return [_checked(message) for message in value]
    except LayoutError as error:
        return error.at(line)


def plain_content(content: Sequence[JsonValue]) -> JsonValue:
    """Parts of words as their text; where a picture is among them, all parts as objects.

    Raises:
        LayoutError: a part is neither words nor a picture.
    """
    parts = [_part(part) for part in content]
    if any(map(is_picture_part, parts)):
        return list[JsonValue](parts)
    return "".join(str(part["text"]) for part in parts)


def tools_of(values: Mapping[str, JsonValue], line: int) -> tuple[JsonValue, ...] | BadLine:
    """The tools that a line gives the model: a list of objects, or the JSON text of one."""
    value = values.get(TOOLS_KEY)
    if value is None:
        return ()
    if isinstance(value, str) and value.strip():
        try:
            value = json.loads(value)
        except ValueError:
            value = False
    if value == "":
        return ()
    if isinstance(value, list) and all(isinstance(tool, dict) for tool in value):
        return tuple(value)
    fix = 'Write "tools": [{"type": "function", "function": {"name": ...}}].'
    return BadLine(line, "wrong_type", "tools is not a list of tools.", fix)


def calls_tools(message: Mapping[str, JsonValue]) -> bool:
    """Whether a message has calls of tools."""
    return bool(message.get(CALLS_KEY))


def is_learned(message: Mapping[str, JsonValue]) -> bool:
    """Whether a turn of the assistant is something to learn, which it is unless it says no."""
    weight = message.get("weight")
    return message.get("train") is not False and (weight is None or weight != 0)


def kind_of_value(value: JsonValue) -> str:
    """What a value is, in words."""
    if isinstance(value, bool):
        return "true or false"
    kinds = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number"}
    return kinds.get(type(value), "null")


def _checked(message: JsonValue) -> Message:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        fix = 'Each message is {"role": "user", "content": "..."}.'
        raise LayoutError("wrong_type", "A message has no role.", fix)
    content = message.get("content")
    if len(message) > 2:
        _check_calls(message)
        _check_weight(message)
    if isinstance(content, str):
        return message
    if isinstance(content, list):
        return {**message, "content": plain_content(content)}
    if content is None and calls_tools(message):
        return {**message, "content": ""}
    if content is None:
        fix = "Write its content as a text."
        raise LayoutError("wrong_type", "A message has no content.", fix)
    text = f"The content of a message is {kind_of_value(content)}, not a text."
    raise LayoutError("wrong_type", text, "Write it in quotes.")


def _check_calls(message: Message) -> None:
    calls = message.get(CALLS_KEY)
    if calls is None or calls == []:
        return
    are_calls = isinstance(calls, list) and all(_is_call(call) for call in calls)
    if message["role"] != "assistant" or not are_calls:
        text = "tool_calls of a message is not a list of the assistant's calls."
        fix = 'Write [{"type": "function", "function": {"name": "...", "arguments": {}}}].'
        raise LayoutError("wrong_type", text, fix)


def _is_call(call: JsonValue) -> bool:
    inner = call.get("function", call) if isinstance(call, dict) else None
    return isinstance(inner, dict) and isinstance(inner.get("name"), str)


def _check_weight(message: Message) -> None:
    weight, train = message.get("weight"), message.get("train")
    if weight is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        text = f"A turn has the weight {str(weight)[:20]}."
        raise LayoutError("wrong_weight", text, "Write 0 to leave it out, or 1.")
    if train is not None and not isinstance(train, bool):
        text = f"A turn has {kind_of_value(train)} for train."
        raise LayoutError("wrong_weight", text, "Write true or false.")


def _part(part: JsonValue) -> dict[str, JsonValue]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, dict):
        if is_picture_part(part):
            return part
        if part.get("type") in WORD_PARTS and isinstance(part.get("text"), str):
            return {"type": "text", "text": part["text"]}
    kind = part.get("type") or "of no type" if isinstance(part, dict) else kind_of_value(part)
    message = f"A part of a message is {str(kind)[:40]}, neither words nor a picture."
    raise LayoutError("unknown_part", message, "Take it out.")
