"""The playground's process: questions as JSON lines on stdin, answers as JSON lines on stdout.

Models stay loaded between questions. It ends when its stdin ends, after the token or the piece of
a model that it is at, so that the memory returns to the system with the parent or at its wish.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TextIO

import OnPolicyDistill.arrays  # noqa: F401  (OpenBLAS before MLX)
from OnPolicyDistill.errors import DistillError, StoppedError
from OnPolicyDistill.evaluation.playground import WarmModels, answer
from OnPolicyDistill.evaluation.playground_messages import (
    REQUEST,
    Ask,
    DoneMessage,
    FailedMessage,
    PlaygroundMessage,
    Reply,
    StoppedMessage,
)
from OnPolicyDistill.memory import memory_metrics, release_buffers, reset_peak
from OnPolicyDistill.stopping import stoppable


class Inbox:
    """Reads stdin in a thread: questions wait in line, a stop is heard at once."""

    def __init__(self, source: TextIO) -> None:
        self.asks: SimpleQueue[Ask | None] = SimpleQueue()
        self._source = source
        self._stopped: set[int] = set()
        self._is_closed = False
        Thread(target=self._read, daemon=True).start()

    def is_stopped(self, ask: Ask) -> bool:
        """Whether somebody wants no more of this question, or of anything."""
        return self._is_closed or ask.id in self._stopped

    def _read(self) -> None:
        for line in self._source:
            request = REQUEST.validate_json(line)
            if isinstance(request, Ask):
                self.asks.put(request)
            else:
                self._stopped.add(request.id)
        self._is_closed = True
        self.asks.put(None)


def main() -> None:
    """Answer questions until stdin ends."""
    output = _claim_stdout()
    inbox, models = Inbox(sys.stdin), WarmModels()
    while (ask := inbox.asks.get()) is not None:
        for message in _answered(models, ask, inbox):
            with suppress(BrokenPipeError):  # nobody is left to hear it
                output.write(Reply(id=ask.id, message=message).model_dump_json() + "\n")
                output.flush()


def _answered(models: WarmModels, ask: Ask, inbox: Inbox) -> Iterator[PlaygroundMessage]:
    reset_peak()
    try:
        with stoppable(lambda: inbox.is_stopped(ask)):
            yield from answer(models, ask, lambda: inbox.is_stopped(ask))
        release_buffers()
        yield _done()
    except StoppedError:
        yield StoppedMessage(reason="You stopped it.")
    except DistillError as error:
        yield FailedMessage(code=error.code, message=error.message, action=error.action)


def _done() -> PlaygroundMessage:
    metrics = memory_metrics()
    return DoneMessage(
        active_memory_gb=metrics["active_memory_gb"], peak_memory_gb=metrics["peak_memory_gb"]
    )


def _claim_stdout() -> TextIO:
    """Keep stdout for messages; whatever else prints goes to stderr."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


if __name__ == "__main__":
    main()
