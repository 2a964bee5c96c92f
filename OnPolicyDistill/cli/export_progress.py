"""How far an export is and how long the rest of it takes, on a terminal or line by line."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from OnPolicyDistill.cli.output import print_note, work_console
from OnPolicyDistill.runs.wording import format_seconds

Tell = Callable[[str, int, int], None]
SECONDS_BETWEEN_LINES = 10.0


class StageClock:
    """Times the stage that is at work: its rest takes as long as what is done of it did."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._stage = ""
        self._since = 0.0

    def seconds_left(self, what: str, done: int, total: int) -> float | None:
        """Seconds to the end of this stage; None before any of it is done."""
        if what != self._stage:
            self._stage, self._since = what, self._now()
        if done == 0:
            return None
        return (self._now() - self._since) / done * (total - done)


@contextmanager
def shown() -> Iterator[Tell]:
    """Show progress on stderr while the block runs: a bar on a terminal, else lines."""
    console, clock = work_console(), StageClock()
    if not console.is_terminal:
        yield _lines(clock)
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None, left="")

        def tell(what: str, done: int, total: int) -> None:
            left = _in_words(clock.seconds_left(what, done, total), done, total)
            bar.update(task, description=what, completed=done, total=total, left=left)

        yield tell


def _lines(clock: StageClock) -> Tell:
    """A line when a stage ends, and every few seconds of a long one."""
    last = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        left = _in_words(clock.seconds_left(what, done, total), done, total)
        if done == total:
            print_note(f"{what}: done")
        elif time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            print_note(f"{what}: {done} of {total}{', ' if left else ''}{left}")
        else:
            return
        last = time.monotonic()

    return tell


def _in_words(seconds: float | None, done: int, total: int) -> str:
    return "" if seconds is None or done == total else f"{format_seconds(seconds)} left"
