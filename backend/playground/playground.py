"""The playground: one process at a time, one question at a time, and runs come first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from http import HTTPStatus
from itertools import count

import psutil

from backend.backend import Backend
from backend.models.place import Hub
from backend.playground.casting import make_ask
from backend.playground.process import GenerationProcess
from backend.playground.views import PlaygroundView, Question
from backend.problems import ConflictError, RefusedError
from backend.prompt_sets.store import PromptSets
from backend.system.room import check_memory
from OnPolicyDistill.evaluation.playground_messages import (
    LAST_KINDS,
    Ask,
    FailedMessage,
    PlaygroundMessage,
    Reply,
    Stop,
    StoppedMessage,
)
from OnPolicyDistill.macos import process_memory_bytes

LOG_FILE = "playground.log"
IDLE_SECONDS = 600.0
WATCH_SECONDS = 0.25
MAX_WAITING = 8
RETRY_SECONDS = 5
ADVICE = "It may have run out of memory: try without the teacher, or quantized models."


class Exchange:
    """One question and the messages that answer it."""

    def __init__(self, ask: Ask, is_waited_for: bool = False) -> None:
        self.ask = ask
        self.messages: asyncio.Queue[PlaygroundMessage] = asyncio.Queue()
        self.is_waited_for = is_waited_for  # a program's: nobody's question ends it
        self.ended = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether its last message has come."""
        return self.ended.is_set()

    def put(self, message: PlaygroundMessage) -> None:
        """Add a message; nothing comes after the last one."""
        if self.is_over:
            return
        self.messages.put_nowait(message)
        if message.kind in LAST_KINDS:
            self.ended.set()


class Playground:
    """Call it from the event loop only."""

    def __init__(
        self, backend: Backend, hub: Hub, sets: PromptSets, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.idle_seconds = idle_seconds
        self._sets = sets
        self._backend = backend
        self._hub = hub
        self._ids = count(1)
        self._process: GenerationProcess | None = None
        self._watching: asyncio.Task[None] | None = None
        self._exchange: Exchange | None = None
        self._last_used = time.monotonic()
        self._lock = asyncio.Lock()
        self._line = asyncio.Lock()  # programs stand here, in the order in which they came
        self._num_waiting = 0

    async def open(self, question: Question) -> Exchange:
        """Begin to answer the screen; its own question that is still being answered is stopped.

        A program's is waited for.

        Raises:
            ConflictError: a run holds the GPU, or the models do not fit.
            WrongFieldError: a model is not named or not here.
            RunError: the machine has no memory left.
        """
        ask = await self._made(question)
        while True:
            async with self._lock:
                others = self._busy_with(is_waited_for=True)
                if others is None:
                    self._refuse_while_blocked()
                    self._stop("Another question was asked.")
                    return await self._begin(Exchange(ask))
            await others.ended.wait()

    async def open_in_turn(self, question: Question) -> Exchange:
        """Begin to answer a program once everything that was asked before it is answered.

        Raises:
            RefusedError: too many wait already; and as `open` does.
        """
        if self._num_waiting >= MAX_WAITING:
            raise RefusedError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_requests",
                f"{MAX_WAITING} requests wait for their answers already.",
                "Come again when some are answered.",
                retry_seconds=RETRY_SECONDS,
            )
        self._num_waiting += 1
        try:
            ask = (await self._made(question)).model_copy(update={"num_top": 0})
            async with self._line:
                return await self._after_all_others(Exchange(ask, is_waited_for=True))
        finally:
            self._num_waiting -= 1

    async def _after_all_others(self, exchange: Exchange) -> Exchange:
        while True:
            async with self._lock:
                others = self._busy_with()
                if others is None:
                    self._refuse_while_blocked()
                    return await self._begin(exchange)
            await others.ended.wait()

    async def _made(self, question: Question) -> Ask:
        self._refuse_while_blocked()
        return await asyncio.to_thread(
            make_ask, self._backend, self._hub, self._sets, question, next(self._ids)
        )

    async def _begin(self, exchange: Exchange) -> Exchange:
        process = await self._ready_process()
        self._exchange = exchange
        self._last_used = time.monotonic()
        process.say(exchange.ask)
        return exchange

    def _busy_with(self, is_waited_for: bool | None = None) -> Exchange | None:
        """What is being answered; where it is said, only if it is a program's or the screen's."""
        exchange = self._exchange
        if exchange is None or exchange.is_over:
            return None
        return exchange if is_waited_for in (None, exchange.is_waited_for) else None

    async def follow(self, exchange: Exchange) -> AsyncGenerator[PlaygroundMessage]:
        """Yield the messages of an answer; who stops listening stops the work."""
        try:
            while not (exchange.is_over and exchange.messages.empty()):
                yield await exchange.messages.get()
        finally:
            self._last_used = time.monotonic()
            if self._exchange is exchange:
                self._stop("You stopped it.")

    async def view(self) -> PlaygroundView:
        """Say how the playground stands."""
        reason = self.blocked()
        if self._process is None or not self._process.is_alive:
            return PlaygroundView(state="blocked" if reason else "cold", reason=reason)
        exchange = self._exchange
        is_busy = self._busy_with() is not None
        ask = None if exchange is None else exchange.ask
        rest = self.idle_seconds - (time.monotonic() - self._last_used)
        return PlaygroundView(
            state="blocked" if reason else "busy" if is_busy else "warm",
            reason=reason,
            student=None if ask is None else ask.student,
            adapter=None if ask is None else ask.adapter,
            teacher=None if ask is None else ask.teacher,
            memory_gb=_memory_gb(self._process.pid),
            unload_in_seconds=None if is_busy else max(rest, 0.0),
        )

    def blocked(self) -> str:
        """Why the playground may not use the GPU now; empty when it may."""
        active = self._backend.supervisor.slot.active
        if active is not None:
            return f"The run {self._backend.name_of(active.run_id)} has the GPU."
        elsewhere = sorted(self._backend.watcher.running)
        if elsewhere:
            return f"The run {self._backend.name_of(elsewhere[0])} has the GPU."
        return self._backend.held_by_others() or ""

    async def close(self, reason: str = "The playground was closed.") -> None:
        """End the process and give its memory back; again changes nothing."""
        async with self._lock:
            self._stop(reason)
            watching, self._watching = self._watching, None
            if watching is not None and watching is not asyncio.current_task():
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
            process, self._process = self._process, None
            self._exchange = None
            if process is not None:
                await process.close()

    def _refuse_while_blocked(self) -> None:
        reason = self.blocked()
        if reason:
            raise ConflictError(reason, "Pause the run or wait for it.", code="gpu_busy")

    async def _ready_process(self) -> GenerationProcess:
        if self._process is not None and self._process.is_alive:
            return self._process
        settings = self._backend.settings
        await asyncio.to_thread(check_memory, settings)
        log = settings.workspace / LOG_FILE
        self._process = await GenerationProcess.start(log, self._on_reply, self._on_end)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        return self._process

    def _stop(self, reason: str) -> None:
        exchange = self._exchange
        if exchange is None or exchange.is_over:
            return
        exchange.put(StoppedMessage(reason=reason))
        if self._process is not None and self._process.is_alive:
            self._process.say(Stop(id=exchange.ask.id))

    def _on_reply(self, reply: Reply) -> None:
        self._last_used = time.monotonic()
        if self._exchange is not None and self._exchange.ask.id == reply.id:
            self._exchange.put(reply.message)

    def _on_end(self, words: str) -> None:
        if self._exchange is not None:
            self._exchange.put(FailedMessage(code="process_died", message=words, action=ADVICE))
        self._exchange = None

    async def _watch(self) -> None:
        """Give the memory back when a run starts, or when nobody asked for a while."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            reason = self.blocked()
            is_idle = (
                self._busy_with() is None and time.monotonic() - self._last_used > self.idle_seconds
            )
            if reason or is_idle:
                await self.close(f"{reason} The playground made room for it." if reason else "")
                return


def _memory_gb(pid: int) -> float | None:
    try:
        return process_memory_bytes(pid) / 1e9
    except psutil.Error:
        return None
