"""The workspace's news for everybody: queue, runs and system figures, each encoded once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from backend.history.views import View
from backend.live.connection import ClosedError, Connection
from backend.live.messages import CloseCode

MAX_WAITING = 512


class Board:
    """Readers get what is published after they came; call it from the event loop only."""

    def __init__(self) -> None:
        self._readers: set[_Reader] = set()

    @property
    def has_readers(self) -> bool:
        """Whether anybody would hear."""
        return bool(self._readers)

    def publish(self, message: View) -> None:
        """Tell all readers."""
        if not self._readers:
            return
        text = message.model_dump_json()
        for reader in self._readers:
            reader.put(text)

    async def follow(self, connection: Connection, first: Sequence[View]) -> None:
        """Send how things stand, then all news.

        Raises:
            ClosedError: the reader takes too long.
        """
        reader = _Reader()
        self._readers.add(reader)
        try:
            for message in first:
                await connection.send(message.model_dump_json())
            while True:
                await connection.send(await reader.take())
        finally:
            self._readers.discard(reader)


class _Reader:
    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._news = asyncio.Event()
        self._is_too_slow = False

    def put(self, text: str) -> None:
        self._is_too_slow = self._is_too_slow or len(self._waiting) >= MAX_WAITING
        if not self._is_too_slow:
            self._waiting.append(text)
        self._news.set()

    async def take(self) -> str:
        while not self._waiting:
            if self._is_too_slow:
                raise ClosedError(CloseCode.TOO_SLOW)
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()
