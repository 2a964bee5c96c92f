"""The first entry of a bundle: whose run it is and what the links pointed at."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MANIFEST_NAME = "bundle.json"
# A small copy of a picture that rollouts show, as runs/directory.py places it.
PICTURE_NAME = re.compile(r"pictures/[0-9a-f]{32}\.png")


class Manifest(BaseModel):
    """What the folder itself does not say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    run_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$")
    best: str | None = Field(None, pattern=r"^\d{6,12}$")
    last: str | None = Field(None, pattern=r"^\d{6,12}$")
