"""One completion on its way from the playground's process to whoever asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from http import HTTPStatus
from typing import Literal, TypeVar

from starlette.requests import Request

from backend.playground.playground import Exchange, Playground
from backend.playground.views import Question
from backend.problems import RefusedError
from backend.v1.stops import StopWatch
from OnPolicyDistill.evaluation.playground_messages import (
    FailedMessage,
    FinishedMessage,
    PlaygroundMessage,
    StartedMessage,
    StoppedMessage,
    TokensMessage,
)

T = TypeVar("T")

# What the process may say of models and prompts that cannot be used; else it is its own fault.
CLIENT_FAULTS = ("invalid_input", "invalid_dataset", "invalid_model", "invalid_config")


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


class Reply:
    """Its text as it comes; afterwards how it ended and how many tokens it took."""

    def __init__(self, playground: Playground, exchange: Exchange, stops: tuple[str, ...]) -> None:
        self.num_prompt_tokens = 0
        self.num_tokens = 0
        self.finish_reason: Literal["stop", "length"] = "stop"
        self._messages = playground.follow(exchange)
        self._watch = StopWatch(stops)
        self._written = ""

    @classmethod
    async def begun(
        cls, playground: Playground, question: Question, stops: tuple[str, ...]
    ) -> Reply:
        """Wait for a turn and for the models.

        Raises:
            RefusedError: too many wait, a run has the GPU, or the models cannot be used.
        """
        reply = cls(playground, await playground.open_in_turn(question), stops)
        try:
            await reply._begin()
        except BaseException:
            await reply.close()
            raise
        return reply

    async def _begin(self) -> None:
        async for message in self._messages:
            _raise_ending(message)
            if isinstance(message, StartedMessage):
                self.num_prompt_tokens = message.num_prompt_tokens
                return

    async def pieces(self) -> AsyncIterator[str]:
        """Yield the text; a stop ends it, and with it the work.

        Raises:
            RefusedError: it ended early.
        """
        async for message in self._messages:
            _raise_ending(message)
            piece = self._heard(message)
            if piece:
                yield piece
            if self._watch.is_over:
                self.finish_reason = "stop"
            if self._watch.is_over or isinstance(message, FinishedMessage):
                return

    def _heard(self, message: PlaygroundMessage) -> str:
        """What a message adds to the text that can be told."""
        if isinstance(message, TokensMessage):
            self.num_tokens += len(message.tokens)
            added = "".join(token.adds for token in message.tokens)
            self._written += added
            return self._watch.add(added)
        if isinstance(message, FinishedMessage):
            self.finish_reason = message.finish_reason
            left = self._watch.add(message.text.removeprefix(self._written))
            return left + self._watch.rest()
        return ""

    async def close(self) -> None:
        """End the work where it is not over; again changes nothing."""
        await self._messages.aclose()


def _raise_ending(message: PlaygroundMessage) -> None:
    if isinstance(message, StoppedMessage):
        status = HTTPStatus.SERVICE_UNAVAILABLE
        raise RefusedError(status, "stopped", f"The answer was ended. {message.reason}")
    if isinstance(message, FailedMessage):
        is_asked = message.code in CLIENT_FAULTS
        status = HTTPStatus.BAD_REQUEST if is_asked else HTTPStatus.INTERNAL_SERVER_ERROR
        raise RefusedError(status, message.code, message.message, message.action)


async def unless_gone(request: Request, work: Awaitable[T]) -> T:
    """Do something as long as the client is there.

    Raises:
        ClientGoneError: it went away; the work was cancelled.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
