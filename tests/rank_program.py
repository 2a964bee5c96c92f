"""A rank that works on one run after the other; `mlx.launch` starts several of it.

Arguments are folders of runs, each with `=` and the name of a checkpoint where it goes on from one.
The variable `DIES` names a rank and how it ends behind its second step: `1:exit 0`, `0:kill`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import OnPolicyDistill.arrays  # noqa: F401  the door to MLX
from OnPolicyDistill.cli.training import trainer_of
from OnPolicyDistill.distributed.copies import hand_out, received
from OnPolicyDistill.distributed.launching import say_met
from OnPolicyDistill.distributed.ranks import Ranks, joined
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import Event

DYING_STEP = 2


def watch(ranks: Ranks, event: Event) -> None:
    """End the rank that shall die as the system or the user's program would."""
    rank, _, how = os.environ.get("DIES", "none:").partition(":")
    if rank != str(ranks.rank) or event.kind != "step_finished" or event.step != DYING_STEP:
        return
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(int(how.removeprefix("exit ")))


def lead(ranks: Ranks, argument: str) -> None:
    folder, _, name = argument.partition("=")
    run = RunDirectory(Path(folder))
    checkpoint = run.checkpoints / name if name else None
    hand_out(ranks, run, checkpoint)
    trainer_of(run.config())(run, lambda event: watch(ranks, event), None, checkpoint)


def follow(ranks: Ranks) -> None:
    with received(ranks) as (run, checkpoint):
        trainer_of(run.config())(run, lambda event: watch(ranks, event), None, checkpoint)


if __name__ == "__main__":
    with joined("ring") as these:
        say_met()
        for each in sys.argv[1:]:
            if these.is_first:
                lead(these, each)
            else:
                follow(these)
