"""Progress on stderr: a bar on a terminal, plain lines elsewhere; the same lines go to log.txt."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from OnPolicyDistill.cli.narrator import Narrator
from OnPolicyDistill.cli.output import print_note, work_console
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import Event, StepFinished
from OnPolicyDistill.runs.reporting import Observer
from OnPolicyDistill.runs.wording import format_seconds

SECONDS_BETWEEN_LINES = 10.0


class View(Protocol):
    """What a person sees of a run."""

    def show(self, event: Event, line: str | None) -> None:
        """Take an event and its line."""


class PlainLines:
    """Lines for pipes and files: every event but steps, and a step at most every few seconds."""

    def __init__(self, write: Callable[[str], None], num_steps: int) -> None:
        self._write = write
        self._num_steps = num_steps
        self._last_step_line = float("-inf")

    def show(self, event: Event, line: str | None) -> None:
        """Write the line, if there is one and it is time."""
        if line is None:
            return
        if isinstance(event, StepFinished) and event.step != self._num_steps:
            now = time.monotonic()
            if now - self._last_step_line < SECONDS_BETWEEN_LINES:
                return
            self._last_step_line = now
        self._write(line)


class Bar:
    """A bar that moves with the steps, and lines above it for everything else."""

    def __init__(self, console: Console, narrator: Narrator) -> None:
        self._narrator = narrator
        self.progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[eta]}"),
            TextColumn("[dim]{task.fields[figures]}"),
            console=console,
            refresh_per_second=4,
        )
        self._task = self.progress.add_task(
            narrator.phase, total=narrator.num_steps, eta="", figures=""
        )

    def show(self, event: Event, line: str | None) -> None:
        """Move the bar; print the line of anything but a step."""
        narrator = self._narrator
        left = narrator.seconds_left
        self.progress.update(
            self._task,
            description=narrator.phase,
            completed=narrator.step,
            eta="" if left is None else f"{format_seconds(left)} left",
            figures=narrator.figures,
        )
        if line is not None and not isinstance(event, StepFinished):
            self.progress.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def watched(run: RunDirectory, num_steps: int) -> Iterator[Observer]:
    """Show a run's events while the block runs, and keep their lines in its log.txt."""
    narrator = Narrator(num_steps)
    console = work_console()
    bar = Bar(console, narrator) if console.is_terminal else None
    with run.log_file.open("a", encoding="utf-8") as log, bar.progress if bar else nullcontext():
        views: list[View] = [bar or PlainLines(print_note, num_steps)]
        if not _is_stderr(run.log_file):
            views.append(PlainLines(_writer(log), num_steps))

        def observe(event: Event) -> None:
            line = narrator.tell(event)
            for view in views:
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
