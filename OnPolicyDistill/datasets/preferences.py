"""Sets that say which of several completions is the better one: the better one is learned."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

from OnPolicyDistill.datasets.messages import Message, checked_messages
from OnPolicyDistill.datasets.records import BadLine

Values = Mapping[str, JsonValue]
QUESTIONS = ("prompt", "question", "instruction")
# Anthropic's helpful and harmless set writes whole conversations as one text.
SPEAKER = re.compile(r"\n\n(Human|Assistant):")


def of_preference(values: Values) -> list[Message]:
    """The conversation that ends with the chosen answer: of texts, or of lists of messages.

    Raises:
        ValueError: why the line cannot be used.
    """
    system = values.get("system")
    start: list[JsonValue] = []
    if isinstance(system, str) and system.strip():
        start.append({"role": "system", "content": system})
    question = next((values[key] for key in QUESTIONS if values.get(key)), None)
    chosen = values["chosen"]
    if isinstance(chosen, list):
        return _checked([*start, *_before(question, chosen), *chosen])
    if not isinstance(chosen, str):
        raise ValueError("chosen is neither a text nor a list of messages.")
    if question is None and SPEAKER.match(chosen):
        return _checked(_spoken(chosen))
    return _checked([*start, *_asked(question), {"role": "assistant", "content": chosen}])


def of_ultrafeedback(values: Values) -> str:
    """The completion with the best score; of equal ones the first; empty where none has one."""
    found = values["completions"]
    scored = [
        (score, text)
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict)
        and isinstance(text := one.get("response"), str)
        and (score := _score(one)) is not None
    ]
    return max(scored, key=lambda pair: pair[0], default=(0.0, ""))[1].strip()


def _score(completion: Values) -> float | None:
    for name in ("fine-grained_score", "overall_score"):
        score = completion.get(name)
        if isinstance(score, int | float) and not isinstance(score, bool):
            return float(score)
    return None


def _before(question: JsonValue, chosen: list[JsonValue]) -> list[JsonValue]:
    """What stands before chosen messages: nothing where they hold the question themselves."""
    first = chosen[0] if chosen else None
    is_whole = isinstance(first, dict) and first.get("role") != "assistant"
    return [] if is_whole else _asked(question)


def _asked(question: JsonValue) -> list[JsonValue]:
    if isinstance(question, list):
        return question
    if not isinstance(question, str) or not question.strip():
        raise ValueError("It has no question.")
    return [{"role": "user", "content": question}]


def _spoken(text: str) -> list[JsonValue]:
    _, *pieces = SPEAKER.split(text)
    roles = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[name], "content": words.strip()}
        for name, words in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def _checked(messages: list[JsonValue]) -> list[Message]:
    found = checked_messages(messages, 0)
    if isinstance(found, BadLine):
        raise ValueError(found.message)
    return found
