"""Progress on stderr: a bar on a terminal, plain lines elsewhere; the same lines go to log.txt."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from OnPolicyDistill.cli.narrator import Narrator, is_frequent, without_reason
from OnPolicyDistill.cli.output import print_note, work_console
from OnPolicyDistill.runs.events import Event, StepFinished
from OnPolicyDistill.runs.forecast import RunForecast
from OnPolicyDistill.runs.pace import Route
from OnPolicyDistill.runs.reporting import Observer

SECONDS_BETWEEN_LINES = 10.0


class View(Protocol):
    """What a person sees of a run."""

    def show(self, event: Event, line: str | None) -> None:
        """Take an event and its line."""


class PlainLines:
    """Lines for pipes and files: every event, but of frequent ones one every few seconds."""

    def __init__(self, write: Callable[[str], None], narrator: Narrator) -> None:
        self._write = write
        self._narrator = narrator
        self._last_frequent = float("-inf")

    def show(self, event: Event, line: str | None) -> None:
        """Write the line, if there is one and it is time."""
        if line is None:
            return
        is_last = isinstance(event, StepFinished) and event.step == self._narrator.num_steps
        if is_frequent(event) and not is_last:
            now = time.monotonic()
            if now - self._last_frequent < SECONDS_BETWEEN_LINES:
                return
            self._last_frequent = now
        self._write(line)


class Bar:
    """A bar that moves with the steps, and lines above it for everything else."""

    def __init__(self, console: Console, narrator: Narrator) -> None:
        self._narrator = narrator
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("{task.fields[eta]}"),
            TextColumn("{task.fields[figures]}"),
            TextColumn("[dim]{task.fields[split]}"),
            console=console,
            refresh_per_second=4,
        )
        self._task = self.progress.add_task(
            narrator.phase, total=narrator.num_steps or None, eta="", figures="", split=""
        )

    def show(self, event: Event, line: str | None) -> None:
        """Move the bar; print the line of anything that is not frequent."""
        narrator = self._narrator
        self.progress.update(
            self._task,
            description=narrator.phase,
            completed=narrator.step,
            total=narrator.num_steps or None,
            eta=narrator.left_in_words,
            figures=narrator.figures,
            split=narrator.split,
        )
        if line is not None and not is_frequent(event):
            self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watched(
    route: Route, log_file: Path | None, forecast: RunForecast | None = None
) -> Iterator[Observer]:
    """Show a run's events while the block runs, and keep their lines in its log file."""
    narrator = Narrator(route, forecast)
    console = work_console()
    with ExitStack() as stack:
        terminal: View = PlainLines(print_note, narrator)
        if console.is_terminal:
            bar = Bar(console, narrator)
            stack.enter_context(bar.progress)
            terminal = bar
        kept: list[View] = []
        if log_file is not None and not _is_stderr(log_file):
            log = stack.enter_context(log_file.open("a", encoding="utf-8"))
            kept.append(PlainLines(_writer(log), narrator))

        def observe(event: Event) -> None:
            line = narrator.tell(event)
            terminal.show(event, without_reason(event, line))
            for view in kept:
                view.show(event, line)

        yield observe


def _writer(stream: TextIO) -> Callable[[str], None]:
    def write(line: str) -> None:
        stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}\n")
        stream.flush()

    return write


def _is_stderr(path: Path) -> bool:
    """Whether whoever started this process has sent its stderr to the file already."""
    try:
        return os.path.samestat(os.fstat(sys.stderr.fileno()), path.stat())
    except (OSError, ValueError):
        return False
