"""Loggers follow a run's events and never hold it up.

Each logger has a bounded queue, a thread that empties it, and a process that talks to the logger's
package (process.py). What does not fit into the queue is left out and counted; a logger that fails
or is not there is told once. The run goes on in any case, and its own log has everything.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from queue import Full, Queue
from tempfile import TemporaryFile
from threading import Thread
from time import monotonic
from typing import IO

from OnPolicyDistill.runs.events import (
    EvaluationFinished,
    Event,
    RunResumed,
    RunStarted,
    StepFinished,
)
from OnPolicyDistill.runs.loggers.entries import Entry, LoggerName, Opening, entry_of

QUEUE_ENTRIES = 1000
CLOSING_SECONDS = 15.0
MODULE = "OnPolicyDistill.runs.loggers.process"
TITLES: dict[LoggerName, str] = {
    "tensorboard": "TensorBoard",
    "wandb": "Weights & Biases",
    "trackio": "trackio",
}
PACKAGES: dict[LoggerName, str] = {
    "tensorboard": "tensorboardX",
    "wandb": "wandb",
    "trackio": "trackio",
}
# Variables by which trackio would send what the settings keep on this machine.
SENDING = ("SPACE_ID", "SERVER_URL", "BUCKET_ID", "DATASET_ID", "WEBHOOK_URL")
SECRET_NAMES = ("KEY", "TOKEN", "SECRET", "PASSWORD")
SHORTEST_SECRET = 6


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a person should know of a logger: a warning's code, message and action."""

    code: str
    message: str
    action: str


class Follower:
    """One logger behind its queue; nothing here waits but `end`."""

    def __init__(self, name: LoggerName, opening: Opening, size: int = QUEUE_ENTRIES) -> None:
        self.name = name
        self._opening = opening
        self._queue: Queue[Entry | None] = Queue(size)
        self._process: subprocess.Popen[bytes] | None = None
        self._reason: str | None = None
        self._num_dropped = 0
        self._told = {"slow": False, "failed": False}
        self._thread = Thread(target=self._tell, name=f"logger {name}", daemon=True)
        self._thread.start()

    def offer(self, entry: Entry) -> None:
        """Put an entry into the queue, or count it as left out."""
        try:
            self._queue.put_nowait(entry)
        except Full:
            self._num_dropped += 1

    def news(self) -> Iterator[Trouble]:
        """What has gone wrong since the last time somebody asked."""
        title = TITLES[self.name]
        if self._reason is not None and not self._told["failed"]:
            self._told["failed"] = True
            yield _failure(self.name, self._reason)
        if self._num_dropped and self._reason is None and not self._told["slow"]:
            self._told["slow"] = True
            message = f"{title} takes metrics slower than the run makes them: some are left out."
            yield Trouble("logger_slow", message, "The run's own log has all of them.")

    def end(self, deadline: float) -> Iterator[Trouble]:
        """Let the logger write out what is left until `deadline`; what it does not is counted."""
        try:
            self._queue.put(None, timeout=max(deadline - monotonic(), 0))
        except Full:
            self._stop_waiting()
        self._thread.join(max(deadline - monotonic(), 0))
        if self._thread.is_alive():
            self._stop_waiting()
            self._thread.join()
        yield from self.news()
        left = self._num_dropped + sum(entry is not None for entry in list(self._queue.queue))
        if left:
            message = f"{TITLES[self.name]} was not told of {left} steps and evaluations."
            yield Trouble("logger_dropped", message, "The run's own log has all of them.")

    def _stop_waiting(self) -> None:
        self._reason = self._reason or f"it was not done after {CLOSING_SECONDS:g} seconds"
        if self._process is not None:
            self._process.kill()

    def _tell(self) -> None:
        """Write every entry to the logger's process, and read why it ended."""
        try:
            self._tell_process()
        except OSError as error:
            self._reason = f"its process could not be started ({error})"

    def _tell_process(self) -> None:
        with TemporaryFile() as said:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE, self.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=environment_for(self.name, self._opening, os.environ),
                start_new_session=True,  # Ctrl-C is for the run, which ends its loggers itself
            )
            assert self._process.stdin is not None
            self._write(self._process.stdin)
            if self._process.wait() != 0:
                said.seek(0)
                words = said.read().decode(errors="replace").strip().splitlines()
                last = words[-1] if words else f"exit code {self._process.returncode}"
                self._reason = self._reason or without_secrets(last[:300], os.environ)

    def _write(self, pipe: IO[bytes]) -> None:
        """Write lines until the run ends, or nobody reads them any more."""
        line: Opening | Entry | None = self._opening
        try:
            with pipe:
                while line is not None:
                    pipe.write(line.model_dump_json().encode() + b"\n")
                    pipe.flush()
                    line = self._queue.get()
        except BrokenPipeError:
            # The process ended; its own words say why.
            return


class Loggers:
    """The loggers of a run, all at once; with none there is nothing to do."""

    def __init__(self, openings: Mapping[LoggerName, Opening]) -> None:
        self._openings = openings
        self._followers: list[Follower] = []

    def offer(self, event: Event) -> None:
        """Begin at the run's start or its return to a checkpoint, then pass metrics on."""
        match event:
            case RunStarted() | RunResumed():
                step = event.step if isinstance(event, RunResumed) else 0
                self._followers = [
                    Follower(name, opening.model_copy(update={"step": step}))
                    for name, opening in self._openings.items()
                ]
            case StepFinished() | EvaluationFinished():
                for follower in self._followers:
                    follower.offer(entry_of(event))
            case _:
                pass

    def news(self) -> list[Trouble]:
        """What has gone wrong since the last time somebody asked."""
        return [trouble for follower in self._followers for trouble in follower.news()]

    def end(self) -> list[Trouble]:
        """Close all loggers, side by side, and say what was not told; nothing the second time."""
        followers, self._followers = self._followers, []
        deadline = monotonic() + CLOSING_SECONDS
        return [trouble for follower in followers for trouble in follower.end(deadline)]


def environment_for(
    name: LoggerName, opening: Opening, environment: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a logger's process: nothing in it decides what leaves the machine."""
    own = {**environment, "WANDB_ERROR_REPORTING": "false"}
    if name == "trackio":
        for variable in SENDING:
            own.pop(f"TRACKIO_{variable}", None)
        if opening.space is None:
            # It would ask the hub who the user is.
            own["HF_HUB_OFFLINE"] = "1"
    return own


def without_secrets(text: str, environment: Mapping[str, str]) -> str:
    """The text without the values of variables that hold keys, tokens or passwords."""
    for name, value in environment.items():
        is_secret = any(word in name.upper() for word in SECRET_NAMES)
        if is_secret and len(value) >= SHORTEST_SECRET:
            text = text.replace(value, "***")
    return text


def _failure(name: LoggerName, reason: str) -> Trouble:
    title, package = TITLES[name], PACKAGES[name]
    if reason.startswith("ModuleNotFoundError") and package.split(".")[0] in reason:
        message = f"{title} is told nothing: the package {package} is not installed."
        return Trouble("logger_absent", message, f"Install it: pip install {package}.")
    message = f"{title} is told nothing more: {reason.rstrip('.')}."
    return Trouble("logger_failed", message, "The run goes on; its own log has everything.")
