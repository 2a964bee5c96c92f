"""One question that long work asks between its pieces: does somebody want this process to stop?

Signals are a process's own, and so is the answer: whoever starts work says once who is to be asked,
and loading, reading, scoring and the rest ask without handing a function through every layer.
Pieces are chosen to take well under two seconds where their size is ours to choose: passes without
a gradient are cut between layers (models/pieces.py), a micro-batch's pass that learns is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from OnPolicyDistill.errors import StoppedError


def _never() -> bool:
    return False


_should_stop: ContextVar[Callable[[], bool]] = ContextVar("should_stop", default=_never)


@contextmanager
def stoppable(should_stop: Callable[[], bool]) -> Iterator[None]:
    """Let the work of the block ask `should_stop` between its pieces."""
    token = _should_stop.set(should_stop)
    try:
        yield
    finally:
        _should_stop.reset(token)


def check_stop() -> None:
    """Raise StoppedError if somebody wants this process to stop; free of side effects."""
    if _should_stop.get()():
        raise StoppedError("The run was stopped.", "Resume it with: opd resume.")
