"""Options of commands that train as several ranks, and the ranks' start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from OnPolicyDistill.errors import InputError

if TYPE_CHECKING:
    from OnPolicyDistill.distributed.launching import Places
    from OnPolicyDistill.runs.directory import RunDirectory

RanksOption = Annotated[
    int,
    typer.Option("--ranks", "-n", min=1, max=64, help="Train as that many processes here."),
]
HostsOption = Annotated[
    Path | None,
    typer.Option(help="Train as one process on each host of this JSON file; this one is first."),
]
Backend = Literal["ring", "jaccl", "mpi"]
BackendOption = Annotated[
    Backend | None, typer.Option(help="How ranks talk; ring where nothing says otherwise.")
]


def chosen_places(num_ranks: int, hosts: Path | None, backend: Backend | None) -> Places | None:
    """Where the ranks run; None where one process trains alone.

    Raises:
        InputError: the options contradict each other, or the file of hosts cannot be used.
    """
    if num_ranks == 1 and hosts is None:
        if backend is not None:
            raise InputError("--backend is for several ranks.", "Give -n or --hosts as well.")
        return None
    from OnPolicyDistill.distributed.hosts import read_hosts
    from OnPolicyDistill.distributed.launching import Places

    if hosts is None:
        return Places(num_ranks, backend or "ring")
    if num_ranks != 1:
        raise InputError("-n and --hosts both say where ranks run.", "Give one of them.")
    found = read_hosts(hosts)
    return Places(len(found.hosts), backend or found.backend or "ring", found)


def ranks_here(places: Places | None) -> int:
    """How many processes share this machine's memory."""
    return 1 if places is None or places.hosts is not None else places.num_ranks


def work_as_ranks(run: RunDirectory, checkpoint: Path | None, places: Places) -> None:
    """Let ranks work on a run until it ends.

    Raises:
        InputError: the run trains nothing.
        StoppedError: the run was paused.
        DistillError: it failed.
    """
    from OnPolicyDistill.distributed.launching import run_ranks

    if run.config().method == "evaluation":
        raise InputError("An evaluation is one process's work.", "Leave -n and --hosts out.")
    command = [sys.executable, "-m", "OnPolicyDistill", "rank", run.run_id]
    chosen = [] if checkpoint is None else ["--from", checkpoint.name]
    workspace = ["--workspace", str(run.path.parent.parent.resolve())]
    run_ranks(run, places, [*command, *chosen, *workspace, "--backend", places.backend])
