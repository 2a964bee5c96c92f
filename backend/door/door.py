"""The door from this side: ask a question, wait for the answer within its limits."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from threading import Lock
from typing import TypeVar

import psutil
from pydantic import BaseModel, ValidationError

from backend.door.asked import Asked, Limits
from backend.door.turns import Turns
from OnPolicyDistill import errors
from OnPolicyDistill.errors import ConfigError, DistillError, ModelError

POLL_SECONDS = 0.02
READ_BYTES = 1 << 16
BROKEN = "Remove it, or download it again from where it was published."

Answer = TypeVar("Answer", bound=BaseModel)


class Door:
    """Questions from any thread; the process behind is started with the first of them."""

    def __init__(self, turns: Turns | None = None) -> None:
        self.turns = turns or Turns()
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def ask(self, question: Asked, kind: type[Answer]) -> Answer:
        """Ask, and return the answer as this kind.

        Raises:
            DistillError: what the reader raised; ModelError where it came to no end.
            BusyError: too many others are being answered.
        """
        with self.turns.turn():
            pipe = self._pass_on(question.model_dump_json().encode())
            try:
                answer = _Child(pipe, subject_of(question), question.limits).answer()
            finally:
                os.close(pipe)
        return _unpacked(answer, kind, subject_of(question))

    @property
    def pid(self) -> int | None:
        """The process behind, while there is one."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the process behind; the next question starts another."""
        with self._lock:
            self._end()

    def _pass_on(self, question: bytes) -> int:
        """Send a question; returns the end of the pipe into which it is answered."""
        ours, theirs = os.pipe()
        try:
            with self._lock:
                try:
                    self._send(question, theirs)
                except OSError:
                    # It was ended from outside: once more, with another.
                    self._end()
                    self._send(question, theirs)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        return ours

    def _send(self, question: bytes, pipe: int) -> None:
        if self._socket is None:
            self._start()
        assert self._socket is not None
        socket.send_fds(self._socket, [len(question).to_bytes(8, "little")], [pipe])
        self._socket.sendall(question)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backend.door.behind"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                # numpy's threads are of no use here, and a process with threads should not fork.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "true"},
                start_new_session=True,
            )
        self._socket = ours

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._socket = self._process = None


class _Child:
    """One answer on its way: what has come, and the process that writes it."""

    def __init__(self, pipe: int, subject: str, limits: Limits) -> None:
        self._pipe, self._subject, self._limits = pipe, subject, limits
        self._read = bytearray()
        self._process: psutil.Process | None = None

    def answer(self) -> bytes:
        """Read to the end.

        Raises:
            ModelError: it needs too much, or ended without an answer.
        """
        deadline = time.monotonic() + self._limits.seconds
        try:
            while self._goes_on():
                self._refuse_too_much(deadline)
        except BaseException:
            self._kill()
            raise
        _, line, answer = self._read.partition(b"\n")
        if not line or not answer:
            raise ModelError(
                f"{self._subject} cannot be read: it ends the process that reads it, or takes "
                f"more than {self._limits.cpu_seconds} seconds or "
                f"{self._limits.memory_bytes / 1e9:g} GB.",
                BROKEN,
            )
        return bytes(answer)

    def _goes_on(self) -> bool:
        """Take in what has come meanwhile; whether more may follow."""
        ready, _, _ = select.select([self._pipe], [], [], POLL_SECONDS)
        if not ready:
            return True
        part = os.read(self._pipe, READ_BYTES)
        self._read += part
        if self._process is None and b"\n" in self._read:
            with suppress(psutil.NoSuchProcess):
                self._process = psutil.Process(int(self._read.partition(b"\n")[0]))
        return bool(part)

    def _refuse_too_much(self, deadline: float) -> None:
        limits = self._limits
        needs = None
        if time.monotonic() > deadline:
            needs = f"more than {limits.seconds:g} seconds"
        elif self._memory() > limits.memory_bytes:
            needs = f"more than {limits.memory_bytes / 1e9:g} GB of memory"
        elif len(self._read) > limits.answer_bytes:
            needs = "an answer without end"
        if needs is not None:
            raise ModelError(f"{self._subject} cannot be read: it takes {needs}.", BROKEN)

    def _memory(self) -> int:
        if self._process is None:
            return 0
        try:
            return int(self._process.memory_info().rss)
        except psutil.Error:
            return 0  # it ended meanwhile

    def _kill(self) -> None:
        if self._process is not None:
            with suppress(psutil.Error):
                self._process.send_signal(signal.SIGKILL)


def subject_of(question: Asked) -> str:
    """What a question reads, as an error names it; unprintable characters are escaped."""
    return question.subject.encode("utf-8", "backslashreplace").decode()


def _unpacked(answer: bytes, kind: type[Answer], subject: str) -> Answer:
    try:
        found = json.loads(answer)
        if "error" in found:
            raise _told(found["error"], subject)
        return kind.model_validate_json(json.dumps(found["answer"]))
    except (ValueError, ValidationError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{subject} cannot be read ({type(error).__name__}).", BROKEN) from error


def _told(error: dict[str, object], subject: str) -> DistillError:
    """The error that the reader raised, or what its end means."""
    name, message = str(error["type"]), str(error.get("message", ""))
    if name == "memory":
        return ModelError(f"{subject} cannot be read: there is no memory for it.", BROKEN)
    known = vars(errors).get(name)
    if not (isinstance(known, type) and issubclass(known, DistillError)):
        return ModelError(f"{subject} is damaged ({message}).", BROKEN)
    action = str(error["action"])
    if issubclass(known, ConfigError):
        locations = error["locations"]
        assert isinstance(locations, list)
        return ConfigError(message, action, tuple((str(k), str(v)) for k, v in locations))
    return known(message, action)


DOOR = Door()
