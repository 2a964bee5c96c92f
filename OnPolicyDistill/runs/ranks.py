"""What the ranks of a run said of their last step, and which of them was lost.

The first rank writes it into the run's folder after each step, over what stood there. That a rank
ended is said by the shell around it, into the run's log (distributed/launching.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import read_plain, write_text_atomically
from OnPolicyDistill.runs.directory import RunDirectory, RunState

FILE = "ranks.json"
ENDED = re.compile(r"^rank (\d+) ended with code \d+$")
# The first thing that the first rank says in a session.
BEGUN = re.compile(r"^Run \S+ in ")

RankFate = Literal["alive", "lost", "ended"]


class RankStep(BaseModel):
    """One rank's share of a step, and its process's memory in GB of 1e9 bytes.

    `seconds` are of the whole step, `waiting_seconds` those of it in which it waited for sums.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rank: int = Field(ge=0)
    host: str = Field(max_length=255)
    num_rows: int = Field(ge=0, description="Of the step; prompts, where each has several rows.")
    num_tokens: int = Field(ge=0, description="Learned from.")
    seconds: float = Field(ge=0)
    waiting_seconds: float = Field(ge=0)
    memory_gb: float = Field(ge=0)


class RanksStep(BaseModel):
    """What all ranks said of a step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int = Field(ge=0)
    ranks: tuple[RankStep, ...] = Field(max_length=1024)


def write_ranks(run: RunDirectory, step: RanksStep) -> None:
    """Keep what the ranks said, in the place of what they said before."""
    write_text_atomically(run.path / FILE, step.model_dump_json())


def read_ranks(run: RunDirectory) -> RanksStep | None:
    """What the ranks said last; None where there are none, or the file is damaged."""
    try:
        return RanksStep.model_validate_json(read_plain(run.path / FILE))
    except (FileNotFoundError, RunError, ValidationError):
        return None


def fate_of(rank: int, state: RunState, log_tail: Sequence[str]) -> RankFate:
    """What became of a rank, by the run's state and the last lines of its log.

    The others end because one was lost, so it is the first that ended.
    """
    if state == "running":
        return "alive"
    begun = max((place for place, line in enumerate(log_tail) if BEGUN.match(line)), default=0)
    ended = [int(match[1]) for line in log_tail[begun:] if (match := ENDED.match(line))]
    is_lost = state in ("failed", "interrupted") and ended[:1] == [rank]
    return "lost" if is_lost else "ended"
