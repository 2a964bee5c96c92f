"""Answers in OpenAI's form, whole or piece by piece.

Reference: https://platform.openai.com/docs/api-reference/chat/object, .../chat/streaming and
.../completions/object.
"""

from __future__ import annotations

import time
import uuid
from abc import abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field
from pydantic_core import to_json

from backend.history.views import View
from backend.problems import problem_of
from backend.v1.errors import openai_error
from backend.v1.reply import Reply
from OnPolicyDistill.errors import DistillError

Reason = Literal["stop", "length"]
DONE = b"data: [DONE]\n\n"


class Usage(View):
    """Tokens of a request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Said(View):
    """What the assistant said."""

    role: Literal["assistant"] = "assistant"
    content: str


class ChatChoice(View):
    """The one answer."""

    index: Literal[0] = 0
    message: Said
    finish_reason: Reason


class ChatCompletion(View):
    """A conversation's answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: tuple[ChatChoice]
    usage: Usage


class Delta(View):
    """What the answer grew by; the first names the role, the last is empty."""

    role: Literal["assistant"] | None = None
    content: str | None = None


class ChatPieceChoice(View):
    """The one answer's next piece."""

    index: Literal[0] = 0
    delta: Delta
    finish_reason: Reason | None


class ChatCompletionChunk(View):
    """A piece of an answer; the last, where it was asked for, has the counts and no choice."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: tuple[ChatPieceChoice, ...]
    usage: Usage | None = None


class TextChoice(View):
    """The one continuation, or its next piece."""

    index: Literal[0] = 0
    text: str
    logprobs: None = None
    finish_reason: Reason | None = Field(description="Null while it goes on.")


class TextCompletion(View):
    """A continuation, whole or a piece of it."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: tuple[TextChoice, ...]
    usage: Usage | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes one answer; `model` is called what the client called it."""

    model: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    @abstractmethod
    def whole(self, text: str, reply: Reply) -> View:
        """The answer in one piece."""

    @abstractmethod
    def piece(self, text: str | None, reason: Reason | None) -> View:
        """The next piece: the first has no text, the last a reason."""

    @abstractmethod
    def counts(self, reply: Reply) -> View:
        """The piece behind the last."""


class ChatWriter(Writer):
    """Writes the answer of a conversation."""

    def whole(self, text: str, reply: Reply) -> ChatCompletion:
        """The answer in one piece."""
        return ChatCompletion(
            id=f"chatcmpl-{self.id}",
            created=self.created,
            model=self.model,
            choices=(ChatChoice(message=Said(content=text), finish_reason=reply.finish_reason),),
            usage=usage_of(reply),
        )

    def piece(self, text: str | None, reason: Reason | None) -> ChatCompletionChunk:
        """The next piece."""
        first = Delta(role="assistant", content="")
        delta = Delta() if reason else first if text is None else Delta(content=text)
        return self._chunk((ChatPieceChoice(delta=delta, finish_reason=reason),), None)

    def counts(self, reply: Reply) -> ChatCompletionChunk:
        """The piece behind the last."""
        return self._chunk((), usage_of(reply))

    def _chunk(
        self, choices: tuple[ChatPieceChoice, ...], usage: Usage | None
    ) -> ChatCompletionChunk:
        return ChatCompletionChunk(
            id=f"chatcmpl-{self.id}",
            created=self.created,
            model=self.model,
            choices=choices,
            usage=usage,
        )


class TextWriter(Writer):
    """Writes the continuation of a text."""

    def whole(self, text: str, reply: Reply) -> TextCompletion:
        """The continuation in one piece."""
        choice = TextChoice(text=text, finish_reason=reply.finish_reason)
        return self._completion((choice,), usage_of(reply))

    def piece(self, text: str | None, reason: Reason | None) -> TextCompletion:
        """The next piece."""
        return self._completion((TextChoice(text=text or "", finish_reason=reason),), None)

    def counts(self, reply: Reply) -> TextCompletion:
        """The piece behind the last."""
        return self._completion((), usage_of(reply))

    def _completion(self, choices: tuple[TextChoice, ...], usage: Usage | None) -> TextCompletion:
        return TextCompletion(
            id=f"cmpl-{self.id}",
            created=self.created,
            model=self.model,
            choices=choices,
            usage=usage,
        )


def usage_of(reply: Reply) -> Usage:
    """Count the tokens of a request; the sign that ends an answer is one."""
    prompt, completion = reply.num_prompt_tokens, reply.num_tokens
    return Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )


async def told_whole(reply: Reply, writer: Writer) -> View:
    """Wait for the answer.

    Raises:
        RefusedError: it ended early.
    """
    try:
        text = "".join([piece async for piece in reply.pieces()])
        return writer.whole(text, reply)
    finally:
        await reply.close()


async def told_in_pieces(reply: Reply, writer: Writer, with_usage: bool) -> AsyncIterator[bytes]:
    """Yield server-sent events; who stops reading stops the work.

    An answer that ends early ends with an error in place of the reason and of [DONE].
    """
    try:
        yield _event(writer.piece(None, None))
        async for text in reply.pieces():
            yield _event(writer.piece(text, None))
        yield _event(writer.piece(None, reply.finish_reason))
        if with_usage:
            yield _event(writer.counts(reply))
        yield DONE
    except DistillError as error:
        yield _event(openai_error(problem_of(error)))
    finally:
        await reply.close()


def _event(view: View) -> bytes:
    """One event. A delta names only what it has: clients join whatever they find there."""
    told = view.model_dump(mode="json")
    for choice in told.get("choices", ()):
        if "delta" in choice:
            delta = choice["delta"].items()
            choice["delta"] = {key: text for key, text in delta if text is not None}
    return b"data: " + to_json(told) + b"\n\n"
