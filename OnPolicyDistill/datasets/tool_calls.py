"""Arguments of tool calls as a chat template wants them: an object, or JSON in a text.

OpenAI writes arguments as JSON in a text. Some templates write that as it is; some put it through
`tojson`, which would escape its quotes; some write an object in Python's form. Which one a template
is, is seen by having it write a call each way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from pydantic import JsonValue

from OnPolicyDistill.datasets.messages import CALLS_KEY

Message = dict[str, JsonValue]
ArgumentForm = Literal["as_they_are", "object", "text"]

NAME, KEY, VALUE = "look_up", "city", "Kiel"
AS_JSON = (f'"{KEY}": "{VALUE}"', f'"{KEY}":"{VALUE}"')


def argument_form(write: Callable[[Sequence[Message]], str | None]) -> ArgumentForm:
    """In which form a template writes arguments as JSON; `write` gives None where it refuses."""
    written: dict[ArgumentForm, JsonValue] = {
        "text": json.dumps({KEY: VALUE}),
        "object": {KEY: VALUE},
    }
    good: list[ArgumentForm] = []
    for form, arguments in written.items():
        text = write(_sample(arguments))
        if text is not None and any(mark in text for mark in AS_JSON):
            good.append(form)
    return good[0] if len(good) == 1 else "as_they_are"


def with_arguments(message: Message, form: ArgumentForm) -> Message:
    """A message whose calls have their arguments in a form."""
    calls = message.get(CALLS_KEY)
    if form == "as_they_are" or not isinstance(calls, list):
        return message
    return {**message, CALLS_KEY: [_call(call, form) for call in calls]}


def _call(call: JsonValue, form: ArgumentForm) -> JsonValue:
    if not isinstance(call, dict):
        return call
    inner = call.get("function")
    if isinstance(inner, dict):
        return {**call, "function": _call(inner, form)}
    arguments = call.get("arguments")
    if form == "text" and isinstance(arguments, dict):
        return {**call, "arguments": json.dumps(arguments, ensure_ascii=False)}
    if form == "object" and isinstance(arguments, str):
        parsed = _object(arguments)
        return call if parsed is None else {**call, "arguments": parsed}
    return call


def _object(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text) if text.strip() else {}
    except ValueError:
        return None
    return value if isinstance(value, Mapping) else None


def _sample(arguments: JsonValue) -> list[Message]:
    function: JsonValue = {"name": NAME, "arguments": arguments}
    call: JsonValue = {"id": "call00001", "type": "function", "function": function}
    question: Message = {"role": "user", "content": "?"}
    return [question, {"role": "assistant", "content": "", CALLS_KEY: [call]}]
