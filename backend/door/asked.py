"""What every question behind the door is: frozen, strict, and answered within limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True, slots=True)
class Limits:
    """What one answer may take: bytes of memory, seconds of the processor and of the clock."""

    memory_bytes: int
    cpu_seconds: int
    seconds: float
    answer_bytes: int = 64_000_000


# A tokenizer of 262,144 tokens takes half a GB while it is read.
FOLDER_LIMITS = Limits(2_000_000_000, 60, 120.0)
# Long files are read line by line, and every line is counted in tokens.
FILE_LIMITS = Limits(4_000_000_000, 1_200, 1_800.0)


class Asked(BaseModel):
    """Frozen and strict: what crosses the door is exactly this."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: ClassVar[Limits] = FOLDER_LIMITS

    @property
    def subject(self) -> str:
        """What is read, as an error names it."""
        raise NotImplementedError
