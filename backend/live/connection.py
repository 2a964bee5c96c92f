"""One websocket: sends with a deadline, and notices when the other side is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.websockets import WebSocket, WebSocketDisconnect

from backend.live.messages import CloseCode

REASONS = {
    CloseCode.NO_SUCH_RUN: "there is no such run",
    CloseCode.TOO_SLOW: "too slow; reconnect with after=LAST",
    CloseCode.AHEAD_OF_LOG: "after is ahead of the log; load the run afresh",
    CloseCode.RUN_REPLACED: "the run was deleted or replaced; load it afresh",
    CloseCode.LOG_DAMAGED: "the log is damaged behind the last event sent",
}
FAREWELL_SECONDS = 30.0


class ClosedError(Exception):
    """Ends a conversation with a code."""

    def __init__(self, code: CloseCode) -> None:
        super().__init__(REASONS[code])
        self.code = code


class Connection:
    """An accepted websocket that only we talk on; what the other side says is dropped."""

    def __init__(self, websocket: WebSocket, patience_seconds: float) -> None:
        self._websocket = websocket
        self._patience = patience_seconds

    async def send(self, text: str) -> None:
        """Send one message; a client that takes none for too long is cut off."""
        try:
            async with asyncio.timeout(self._patience):
                await self._websocket.send({"type": "websocket.send", "text": text})
        except TimeoutError:
            raise ClosedError(CloseCode.TOO_SLOW) from None

    async def talk(self, conversation: Callable[[], Awaitable[None]]) -> None:
        """Hold a conversation until it ends, is cut off, or the other side goes away."""
        await self._websocket.accept()
        talking = asyncio.ensure_future(conversation())
        listening = asyncio.ensure_future(self._until_gone())
        try:
            await asyncio.wait((talking, listening), return_when=asyncio.FIRST_COMPLETED)
            if talking.done():
                talking.result()
        except ClosedError as closed:
            await self._close(closed)
        except WebSocketDisconnect:
            return
        finally:
            talking.cancel()
            listening.cancel()
            await asyncio.gather(talking, listening, return_exceptions=True)

    async def _until_gone(self) -> None:
        while (await self._websocket.receive())["type"] != "websocket.disconnect":
            pass

    async def _close(self, closed: ClosedError) -> None:
        """Say why; a client whose buffers are full gets to know it when it reads again."""
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._websocket.close(closed.code, str(closed))
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            return
