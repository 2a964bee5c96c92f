"""A rank that works on one run after the other; `mlx.launch` starts several of it.

Arguments are folders of runs, each with `=` and the name of a checkpoint where it goes on from one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  the door to MLX
from OnPolicyDistill.cli.training import trainer_of
from OnPolicyDistill.distributed.copies import hand_out, received
from OnPolicyDistill.distributed.ranks import Ranks, joined
from OnPolicyDistill.runs.directory import RunDirectory


def lead(ranks: Ranks, argument: str) -> None:
    folder, _, name = argument.partition("=")
    run = RunDirectory(Path(folder))
    checkpoint = run.checkpoints / name if name else None
    hand_out(ranks, run, checkpoint)
    trainer_of(run.config())(run, None, None, checkpoint)


def follow(ranks: Ranks) -> None:
    with received(ranks) as (run, checkpoint):
        trainer_of(run.config())(run, None, None, checkpoint)


if __name__ == "__main__":
    with joined("ring") as these:
        for each in sys.argv[1:]:
            if these.is_first:
                lead(these, each)
            else:
                follow(these)
