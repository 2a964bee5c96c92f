"""What a bundle has: the first entry, and which files of a run travel in it."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.runs.naming import RUN_NAME

MANIFEST_NAME = "bundle.json"
# About a process on the machine that it runs on.
PRIVATE = frozenset(("worker.json", "control.json", "run.lock", "ranks.json"))
CHECKPOINTS, PICTURES = "checkpoints", "pictures"
# Folders of a run that have nothing but files.
FLAT_FOLDERS = ("answers", "evaluation", "evaluations", "generated", "grafted")
_FOLDERS = (CHECKPOINTS, PICTURES, *FLAT_FOLDERS)
# Letters and signs that every file system keeps as they are; no point or space at the end.
_FILE = r"(?!.{121})[A-Za-z0-9_]([A-Za-z0-9_.+=,@() -]*[A-Za-z0-9_+=,@()-])?"
_MEMBER = re.compile(
    rf"{CHECKPOINTS}/[0-9]{{6,12}}/{_FILE}"
    rf"|{PICTURES}/[0-9a-f]{{32}}\.png"
    rf"|(?:(?:{'|'.join(FLAT_FOLDERS)})/)?{_FILE}"
)


def is_member(name: str) -> bool:
    """Whether a path below a run's folder is that of a file which travels with the run.

    A disk may not tell WORKER.JSON from worker.json.
    """
    if _MEMBER.fullmatch(name) is None:
        return False
    return name.casefold() not in (*_FOLDERS, *PRIVATE)


class Manifest(BaseModel):
    """What the folder itself does not say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    run_id: str = Field(pattern=f"^{RUN_NAME}$")
    best: str | None = Field(None, pattern=r"^[0-9]{6,12}$")
    last: str | None = Field(None, pattern=r"^[0-9]{6,12}$")
