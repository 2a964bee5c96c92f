"""Questions about training and held-out sets that shall share no line; answering writes files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from backend.door.asked import FILE_LIMITS, Asked, Limits
from OnPolicyDistill.datasets.overlap import ReadAs
from OnPolicyDistill.datasets.sets_apart import Apart, separate, split_off


class ApartFacts(BaseModel):
    """What was written of two sets that share no line."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_training: int
    num_held_out: int
    num_taken_out: int


class SeparateQuestion(Asked):
    """What is left of a training set without the lines that are held out?"""

    kind: Literal["separate"] = "separate"
    training: Path
    held_out: Path
    target: Path
    read_as: ReadAs

    limits: ClassVar[Limits] = FILE_LIMITS

    @property
    def subject(self) -> str:
        """What is read."""
        return f"{self.training} or {self.held_out}"

    def answer(self) -> ApartFacts:
        """Write it.

        Raises:
            DatasetError: lines cannot be used, or none is left.
        """
        return _facts(separate(self.training, self.held_out, self.target, self.read_as))


class SplitQuestion(Asked):
    """What are a training and a held-out part of a set?"""

    kind: Literal["split"] = "split"
    source: Path
    training: Path
    held_out: Path
    read_as: ReadAs
    share: float
    seed: int

    limits: ClassVar[Limits] = FILE_LIMITS

    @property
    def subject(self) -> str:
        """What is read."""
        return str(self.source)

    def answer(self) -> ApartFacts:
        """Write both.

        Raises:
            DatasetError: lines cannot be used, or there is too little to split.
        """
        targets = (self.training, self.held_out)
        return _facts(split_off(self.source, targets, self.read_as, self.share, self.seed))


def _facts(done: Apart) -> ApartFacts:
    return ApartFacts(**asdict(done))
