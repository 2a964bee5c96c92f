"""Why a run's process ended before its work did, in words and with the evidence."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, write_text_atomically
from OnPolicyDistill.gpu import GpuCause
from OnPolicyDistill.runs.directory import RunDirectory

POSTMORTEM_FILE = "postmortem.json"

OtherCause = Literal[
    "memory", "disk_full", "killed", "stopped", "crashed", "error", "not_started", "vanished"
]
Cause = OtherCause | GpuCause


class PostMortem(BaseModel):
    """One death of a run's process.

    It is about the log as it ended at event `after_seq`; once later events follow, it is history.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: float = Field(ge=0, le=1e11, description="When the death was noticed, Unix seconds.")
    after_seq: int = Field(ge=-1, description="Last event before it; -1 when there was none.")
    cause: Cause
    exit_code: int | None = Field(None, description="Where the process returned one.")
    signal: str | None = Field(None, description="The signal that ended it, such as SIGKILL.")
    step: int = Field(ge=0, description="Last step that was reported.")
    resume_from: int | None = Field(None, description="Step of the checkpoint a resume starts at.")
    message: str = Field(description="What happened.")
    action: str = Field(description="What can be done.")
    log_tail: tuple[str, ...] = Field((), description="Last lines of log.txt.")


def read_postmortem(run: RunDirectory) -> PostMortem | None:
    """Return the run's last post-mortem, or None where there is none to read."""
    try:
        return PostMortem.model_validate_json(read_plain(run.path / POSTMORTEM_FILE))
    except (FileNotFoundError, RunError, ValidationError):
        return None


def write_postmortem(run: RunDirectory, postmortem: PostMortem) -> None:
    """Replace the run's post-mortem."""
    write_text_atomically(run.path / POSTMORTEM_FILE, postmortem.model_dump_json(indent=1))
