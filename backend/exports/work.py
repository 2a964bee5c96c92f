"""Work that a process of its own does: it says how far it is in a file of JSON lines."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from backend.history.views import View
from backend.supervisor.ending import end
from OnPolicyDistill.adapters.export_messages import (
    WORK_LINE,
    FailedLine,
    ProgressLine,
    WrittenLine,
)
from OnPolicyDistill.adapters.measured import Outcome
from OnPolicyDistill.files import make_private
from OnPolicyDistill.runs.directory import Worker
from OnPolicyDistill.runs.workers import SECRET_VARIABLES, identify

WorkState = Literal["running", "finished", "failed", "cancelled", "interrupted"]
LINES = ".jsonl"
LOG = ".log"


class WorkView(View):
    """How a piece of work stands; `where` is the folder or address that came of it."""

    state: WorkState
    what: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = Field(None, description="Of what is being done now.")
    where: str | None = None
    num_bytes: int | None = None
    message: str = ""
    action: str = ""
    outcome: Outcome | None = Field(
        None, description="Of a finished export: what was measured of it, and what to type next."
    )


class Workshop:
    """Starts, reads and ends such processes by name; methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], more: dict[str, str]) -> Worker:
        """Start a command whose stdout are its lines, with more in its environment."""
        make_private(self.folder)
        environment = {key: text for key, text in os.environ.items() if key not in SECRET_VARIABLES}
        with self._file(name, LINES).open("wb") as lines, self._file(name, LOG).open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=lines,
                stderr=log,
                env={**environment, "HF_HUB_DISABLE_TELEMETRY": "1", **more},
                start_new_session=True,
            )
        self._processes[name] = process
        return identify(process.pid)

    def view(self, name: str, worker: Worker, cancelled: bool) -> WorkView:
        """Say how a piece of work stands."""
        process = self._processes.get(name)
        if process is not None and process.poll() is not None:
            self._processes.pop(name, None)
        is_alive = worker.is_alive()  # before the lines: who is gone says no more
        last = self._last_line(name)
        if isinstance(last, WrittenLine):
            return WorkView(
                state="finished",
                where=last.where,
                num_bytes=last.num_bytes,
                outcome=last.outcome,
            )
        if isinstance(last, FailedLine):
            return WorkView(state="failed", message=last.message, action=last.action)
        if is_alive:
            if last is None:
                return WorkView(state="running", what="starting")
            return WorkView(state="running", **last.model_dump(exclude={"kind"}))
        if cancelled:
            return WorkView(state="cancelled")
        return WorkView(
            state="interrupted",
            message=self._last_words(name),
            action="It may have run out of memory. Close other programs and start it again.",
        )

    def end(self, worker: Worker) -> None:
        """End a process and its children and wait until they are gone."""
        end(worker)

    def forget(self, name: str) -> None:
        """Remove what a process said that has ended."""
        process = self._processes.pop(name, None)
        if process is not None:
            process.wait()
        for suffix in (LINES, LOG):
            self._file(name, suffix).unlink(missing_ok=True)

    def _last_line(self, name: str) -> ProgressLine | WrittenLine | FailedLine | None:
        try:
            lines = self._file(name, LINES).read_bytes().splitlines()
        except FileNotFoundError:
            return None
        for line in reversed(lines):
            try:
                return WORK_LINE.validate_json(line)
            except ValidationError:
                continue  # the last line of a killed process
        return None

    def _last_words(self, name: str) -> str:
        try:
            text = self._file(name, LOG).read_text("utf-8", "replace").strip()
        except FileNotFoundError:
            text = ""
        said = f" Its last words: {text.splitlines()[-1][:300]}" if text else ""
        return f"Its process ended without a word.{said}"

    def _file(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}{suffix}"
