"""Each answer of a conversation as the model would have to generate it, in text.

A chat template is written for asking, not for learning, and some templates write a turn differently
once others follow: Qwen3's takes the reasoning out of earlier turns, R1-Distill's deletes it even
from the last one, and Phi-3.5's puts a token behind the conversation that no model generates. So an
answer is never searched for in the text of the whole conversation. Its prompt is the history up to
it with the assistant's turn opened, as for generation, reasoning shown or hidden as the template
does then. Its completion is what the template writes behind exactly that prompt, up to the token
that ends a turn. Where the template writes something else there, or leaves reasoning out, the
completion is put together from reasoning, answer and end token: that is what would be generated.

Reasoning stands in `reasoning_content` (or `thinking`, `reasoning`), or in the content between
`<think>` and `</think>`. A `<think>` that the template opens is prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from OnPolicyDistill.datasets.chat_template import REASONING_KEYS, ChatTemplate
from OnPolicyDistill.datasets.messages import CALLS_KEY, Message, calls_tools, is_learned
from OnPolicyDistill.datasets.prompts import content_text
from OnPolicyDistill.errors import DatasetError

OPENS, CLOSES = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Turn:
    """What stands before an answer when it is generated, and what is generated.

    `is_learned` is false where the conversation says that this turn is only to be read.
    """

    prompt: str
    completion: str
    is_learned: bool = True


def assistant_turns(
    template: ChatTemplate,
    messages: Sequence[Message],
    end_texts: Iterable[str],
    tools: Sequence[JsonValue] = (),
) -> list[Turn]:
    """Every assistant's turn of a conversation; `end_texts` are the tokens that end one.

    `tools` are those that the conversation gives the model.

    Raises:
        DatasetError: the template refuses the conversation, or leaves out calls of tools.
        ModelError: the template is broken or leaves answers out.
    """
    closing = template.closing()
    ends = [text for text in end_texts if text]
    end = _until_first(closing, ends)
    turns = []
    for place, message in enumerate(messages):
        if message["role"] == "assistant":
            prompt = template.render(messages[:place], tools=tools)
            written = template.render(messages[: place + 1], False, tools=tools)
            if calls_tools(message):
                refuse_unwritten_calls(template, messages[: place + 1], written, tools)
                completion = _called(prompt, written, ends)
            else:
                completion = _generated(message, prompt, written, closing) + end
            turns.append(Turn(prompt, completion, is_learned(message)))
    return turns


def refuse_unwritten_calls(
    template: ChatTemplate, messages: Sequence[Message], written: str, tools: Sequence[JsonValue]
) -> None:
    """Refuse a last message whose calls of tools make no difference to what the template writes.

    Raises:
        DatasetError: they make none.
    """
    *before, last = messages
    bare = {key: value for key, value in last.items() if key != CALLS_KEY}
    if template.render([*before, bare], False, tools=tools) == written:
        raise DatasetError(
            "The chat template leaves out what the assistant calls (tool_calls).",
            "Use a model whose template writes tools, or write the call as content.",
        )


def split_reasoning(message: Mapping[str, JsonValue]) -> tuple[str, str]:
    """Reasoning and answer of an assistant's message; no reasoning is an empty text."""
    content = content_text(message.get("content"))
    named = next((message[key] for key in REASONING_KEYS if message.get(key)), None)
    if isinstance(named, str):
        return named.strip(), content
    before, closes, answer = content.partition(CLOSES)
    # Without <think> the template had opened it; behind other words it is something quoted.
    if not closes or (OPENS in before and not before.lstrip().startswith(OPENS)):
        return "", content
    return before.strip().removeprefix(OPENS).strip(), answer.lstrip("\n")


def without_reasoning(message: Message) -> Message:
    """The same message with its answer alone; what is not the assistant's stays as it is."""
    if message["role"] != "assistant" or not split_reasoning(message)[0]:
        return message
    plain = {key: value for key, value in message.items() if key not in REASONING_KEYS}
    return {**plain, "content": split_reasoning(message)[1]}


def _generated(message: Message, prompt: str, written: str, closing: str) -> str:
    """What a model writes after the prompt, without the end of its turn."""
    reasoning, answer = split_reasoning(message)
    inner = written.removeprefix(prompt).removesuffix(closing)
    if len(inner) == len(written) - len(prompt) - len(closing) and reasoning in inner:
        return inner
    if prompt.rstrip().endswith(OPENS):
        return f"{reasoning}\n{CLOSES}\n\n{answer}"
    return f"{OPENS}\n{reasoning}\n{CLOSES}\n\n{answer}" if reasoning else answer


def _called(prompt: str, written: str, ends: Sequence[str]) -> str:
    """A turn with calls of tools, up to the token that ends it."""
    inner = written.removeprefix(prompt)
    if len(inner) == len(written) or not any(end in inner for end in ends):
        raise DatasetError(
            "The chat template writes a call of tools elsewhere than behind its prompt, or without "
            "a token that ends the turn.",
            "Take the line out, or use a model of another family.",
        )
    return _until_first(inner, ends)


def _until_first(closing: str, end_texts: Iterable[str]) -> str:
    """Cut what closes a conversation behind the first token that ends a turn, if one is there."""
    ends = [closing.index(text) + len(text) for text in end_texts if text and text in closing]
    return closing[: min(ends, default=len(closing))]
