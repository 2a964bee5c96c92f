"""What a file of data is made of: records, which are JSON objects, and lines that are none.

reading.py says how they are read from files of any form.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from OnPolicyDistill.datasets.pictures import PictureSource


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON object, its 1-based line and the file; `pictures` are those of a parquet row.

    `is_plain` says that it was a line of plain text, which nobody named.
    """

    line: int
    values: dict[str, JsonValue]
    origin: Path | None = None
    pictures: tuple[PictureSource, ...] = ()
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be used: a code for programs, what is wrong, and what to do."""

    line: int
    code: str
    message: str
    fix: str
