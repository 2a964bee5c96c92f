"""One rank of a run, as `mlx.launch` starts it on every host with the same words."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.device import load_mlx
from OnPolicyDistill.cli.output import WorkspaceOption
from OnPolicyDistill.cli.runs import RunArgument, open_run
from OnPolicyDistill.cli.training import choose_checkpoint, train_on, trainer_of
from OnPolicyDistill.errors import DistillError, RankLostError

if TYPE_CHECKING:
    from OnPolicyDistill.distributed.ranks import Ranks
    from OnPolicyDistill.runs.directory import RunDirectory


def rank(
    run: RunArgument,
    backend: Annotated[str, typer.Option(help="How ranks talk.")] = "ring",
    checkpoint: Annotated[str | None, typer.Option("--from", help="A step.")] = None,
    workspace: WorkspaceOption = None,
) -> None:
    """Work on a run as one of several processes; `opd train -n` and `--hosts` start them."""
    load_mlx()
    from OnPolicyDistill.distributed.launching import say_met
    from OnPolicyDistill.distributed.ranks import joined

    with joined(backend) as ranks:
        say_met()
        if not ranks.is_first:
            _follow(ranks)
            return
        found = open_run(run, workspace)
        _lead(ranks, found, None if checkpoint is None else choose_checkpoint(found, checkpoint))


def _lead(ranks: Ranks, run: RunDirectory, checkpoint: Path | None) -> None:
    """Hold the run and work on it; how that ended is told by whoever started the ranks."""
    from OnPolicyDistill.distributed.copies import hand_out
    from OnPolicyDistill.runs.events import RunFailed, RunPaused
    from OnPolicyDistill.runs.log import last_event

    hand_out(ranks, run, checkpoint)
    try:
        train_on(run, checkpoint)
    except DistillError:
        if not isinstance(last_event(run.events_file), RunFailed | RunPaused):
            raise


def _follow(ranks: Ranks) -> None:
    """Work on a copy of the run as long as the first rank does, which alone is asked to stop."""
    from OnPolicyDistill.distributed.copies import received
    from OnPolicyDistill.runs.reporting import StopRequest

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with received(ranks) as (run, checkpoint):
            trainer_of(run.config())(run, None, StopRequest(), checkpoint)
    except RankLostError:
        return
