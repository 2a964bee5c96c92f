"""The generation process: started, spoken to line by line, and ended with its memory given back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from backend.supervisor.ending import end
from OnPolicyDistill.evaluation.playground_messages import Ask, Reply, Stop
from OnPolicyDistill.runs.workers import SECRET_VARIABLES, identify

COMMAND = (sys.executable, "-m", "OnPolicyDistill.cli.playground")
MAX_LINE_BYTES = 1 << 23
PATIENCE_SECONDS = 30.0
TAIL_BYTES = 2_000


class GenerationProcess:
    """One process; `on_reply` hears its lines, `on_end` why it went away by itself."""

    def __init__(
        self,
        process: Process,
        log: Path,
        on_reply: Callable[[Reply], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._process = process
        self._worker = identify(process.pid)
        self._log = log
        self._on_reply = on_reply
        self._on_end = on_end
        self._closing = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, log: Path, on_reply: Callable[[Reply], None], on_end: Callable[[str], None]
    ) -> GenerationProcess:
        """Start it; its stderr goes to `log`."""
        environment = {key: text for key, text in os.environ.items() if key not in SECRET_VARIABLES}
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *COMMAND,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
                env={**environment, "HF_HUB_OFFLINE": "1"},
                limit=MAX_LINE_BYTES,
                start_new_session=True,
            )
        return cls(process, log, on_reply, on_end)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it still runs and is not being ended."""
        return self._process.returncode is None and not self._closing

    def say(self, request: Ask | Stop) -> None:
        """Send a line; a process that is gone hears nothing."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):
            self._process.stdin.write(request.model_dump_json().encode() + b"\n")

    async def close(self) -> None:
        """End it and wait until it is gone; ending it again changes nothing.

        It leaves by itself once its stdin ends, after the token or the piece of a model that it is
        at; a signal is for one that does not.
        """
        self._closing = True
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._process.wait()
        except TimeoutError:
            await asyncio.to_thread(end, self._worker)
            await self._process.wait()
        await self._reading

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            with contextlib.suppress(ValidationError):  # the last line of a killed process
                self._on_reply(Reply.model_validate_json(line))
        code = await self._process.wait()
        if not self._closing:
            self._on_end(await asyncio.to_thread(self._explain, code))

    def _explain(self, code: int) -> str:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        tail = self._log.read_bytes()[-TAIL_BYTES:].decode("utf-8", "replace").strip()
        said = f" It said: {tail.splitlines()[-1][:300]}" if tail else ""
        return f"The generation process {how}.{said}"
