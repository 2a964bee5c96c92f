"""The rollouts that steps learn from now, kept while they are used again (`rollout_reuse`).

A run of n uses samples before steps 1, n + 1, 2n + 1, ...; those are numbered from 1, and a
sampling has the rows that the step of its number would have without reuse. A checkpoint between two
uses holds the rollouts of all ranks, so that a resumed run, with however many ranks, goes on with
them: the student that sampled them is gone. What the teacher said of them is asked anew then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from OnPolicyDistill.distributed.ranks import Ranks
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import disk_errors, read_plain
from OnPolicyDistill.losses.targets import Targets
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.training.rollouts import ROLLOUTS, MicroBatch
from OnPolicyDistill.training.teacher_order import runs_of_one_teacher

REUSED_FILE = "reused_rollouts.json"
# 1,024 rows of 131,072 tokens with a logprob each have about 4 GB; runs that fit have far less.
MAX_BYTES = 4_000_000_000


class Reuse:
    """Micro-batches that several steps learn from, and what the teacher said of them."""

    def __init__(self, settings: DistillationSettings, ranks: Ranks) -> None:
        self._uses = settings.rollout_reuse
        self._size = settings.batch_size
        self._ranks = ranks
        self._all: list[Rollout] = []
        self._batches: list[MicroBatch] = []
        self._targets: dict[int, Targets] = {}

    def is_due(self, step: int) -> bool:
        """Whether rollouts are sampled before a step, from 1."""
        return (step - 1) % self._uses == 0

    def sampling(self, step: int) -> int:
        """The number of the sampling that a step learns from, from 1."""
        return (step - 1) // self._uses + 1

    def keep(self, batches: list[MicroBatch]) -> None:
        """Take what this rank sampled."""
        self._batches, self._targets = batches, {}
        if self._uses > 1:
            own = [rollout for batch in batches for rollout in batch.rollouts]
            self._all = self._ranks.together(own, ROLLOUTS)

    def batches(self, step: int) -> list[MicroBatch]:
        """The micro-batches of a step; those of a second use say so."""
        if self.is_due(step):
            return self._batches
        return [replace(batch, is_reused=True) for batch in self._batches]

    def targets(self, place: int, score: Callable[[], Targets]) -> Targets:
        """What the teacher says of a micro-batch: asked once, and kept where it is used again."""
        if self._uses == 1:
            return score()
        if place not in self._targets:
            self._targets[place] = score()
        return self._targets[place]

    def save(self, folder: Path, step: int) -> None:
        """Write into a checkpoint behind a step what the next step needs of it."""
        if self.is_due(step + 1):
            return
        file = folder / REUSED_FILE
        with disk_errors(file):
            file.write_bytes(ROLLOUTS.dump_json(self._all))

    def load(self, checkpoint: Path, step: int) -> None:
        """Go on from a checkpoint behind a step.

        Raises:
            RunError: its rollouts are missing or damaged.
        """
        if self.is_due(step + 1):
            return
        file = checkpoint / REUSED_FILE
        try:
            self._all = ROLLOUTS.validate_json(read_plain(file, MAX_BYTES))
        except (OSError, RunError, ValueError) as error:
            raise RunError(
                f"The rollouts of {checkpoint} cannot be read ({error}).",
                "Resume from another checkpoint with --from.",
            ) from error
        self._batches = micro_batches(self._ranks.own(self._all), self._size)


class Saved(Protocol):
    """What a checkpoint holds besides: the student, or more."""

    def save(self, folder: Path) -> None:
        """Write it into a checkpoint's folder."""


def save(folder: Path, learning: Saved, reuse: Reuse, step: int) -> None:
    """Write into a checkpoint behind a step what learns, and the rollouts that are used again."""
    learning.save(folder)
    reuse.save(folder, step)


def micro_batches(rollouts: Sequence[Rollout], size: int) -> list[MicroBatch]:
    """Fresh rollouts, at most `size` at a time, those of a micro-batch for one teacher."""
    return [
        MicroBatch(list(run[start : start + size]), [])
        for run in runs_of_one_teacher(rollouts, lambda rollout: rollout.teacher)
        for start in range(0, len(run), size)
    ]
