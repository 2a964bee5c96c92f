"""The GPU slot and its queue as they survive a restart of the backend."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from backend.history.views import View
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, set_aside, write_text_atomically
from OnPolicyDistill.runs.directory import Worker
from OnPolicyDistill.runs.naming import RUN_NAME
from OnPolicyDistill.runs.retrying import Tries

SLOT_FILE = "supervisor.json"
# The id becomes a path and a process's argument.
KnownRun = Annotated[str, Field(pattern=f"^{RUN_NAME}$")]

logger = logging.getLogger(__name__)

Verb = Literal["train", "resume"]
Wish = Literal["pause", "finish", "kill"]


class QueueEntry(View):
    """A run that waits for the slot."""

    run_id: KnownRun
    verb: Verb
    added: float = Field(description="Unix seconds.")
    needed_gb: float | None = Field(None, description="By forecast, GB of 1e9 bytes.")
    anyway: bool = Field(False, description="Starts even if less memory is free than it needs.")


class ActiveRun(View):
    """The run whose process the supervisor owns."""

    run_id: KnownRun
    verb: Verb
    worker: Worker | None = Field(None, description="Null between the decision and the start.")
    wish: Wish | None = Field(None, description="What was asked of it.")
    wish_reason: str = ""
    kill_at: float | None = Field(None, description="When patience ends, Unix seconds.")
    tries: Tries = Field(Tries(), description="After failures of the GPU, since it was started.")
    log_start: int = Field(0, description="Where its process's output begins in the run's log.")


class Slot(View):
    """All that the supervisor has to remember."""

    active: ActiveRun | None = None
    queue: tuple[QueueEntry, ...] = ()


def load_slot(workspace: Path) -> Slot:
    """Read the slot; empty where there is none, or a damaged one that is put aside."""
    file = workspace / SLOT_FILE
    try:
        return Slot.model_validate_json(read_plain(file))
    except FileNotFoundError:
        return Slot()
    except (RunError, ValidationError):
        logger.warning("%s is damaged; it was put aside, and the queue is empty", file)
        set_aside(file)
        return Slot()


def save_slot(workspace: Path, slot: Slot) -> None:
    """Write the slot so that a crash leaves the old or the new one."""
    write_text_atomically(workspace / SLOT_FILE, slot.model_dump_json(indent=1))
