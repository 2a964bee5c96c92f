"""Runs of several ranks from the screen: where they run, and what each of them does.

A file of hosts says on which machines this program is started, so choosing one through the API is
guarded beyond the token: the file lies in the user's own folders, sets no variables, names
addresses and nothing else, and starts nothing before the user confirmed each host by name. What
was confirmed is copied; what the file says later changes nothing. On every host the same command
is run, this program's own, which no request can choose.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.history.views import View
from backend.paths import PathError, picked_file
from backend.problems import ConflictError
from backend.settings import BackendSettings
from backend.supervisor.explain import read_log_tail
from OnPolicyDistill.config import BLOCK_OF_METHOD, RunConfig, settings_of
from OnPolicyDistill.distributed.hosts import Hosts, read_hosts
from OnPolicyDistill.errors import ConfigError, InputError, RunError
from OnPolicyDistill.files import make_private, read_plain, write_text_atomically
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.ranks import RankFate, RankStep, fate_of, read_ranks
from OnPolicyDistill.settings.sharded import shards_of
from OnPolicyDistill.settings.training import OptimizerSettings

MOST_HERE, MOST_BYTES = 8, 64_000


class RanksAsked(View):
    """Where a run's processes shall work; one here, unless it is said."""

    ranks: int = Field(1, ge=1, le=MOST_HERE, description="Processes on this machine.")
    hosts: str | None = Field(
        None, max_length=4096, description="File of hosts, one process on each; this one first."
    )
    confirm_hosts: tuple[str, ...] = Field(
        (),
        max_length=64,
        description="Names of the other hosts, in order: this program may be started on them.",
    )

    @property
    def of_ranks(self) -> RanksAsked:
        """This alone, of a request that asks for more."""
        return RanksAsked(ranks=self.ranks, hosts=self.hosts, confirm_hosts=self.confirm_hosts)


class Chosen(BaseModel):
    """Where a run's processes work, as the workspace keeps it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_ranks: int = Field(ge=1, le=1024)
    hosts: Hosts | None = None

    @property
    def num_here(self) -> int:
        """How many of them share this machine's memory."""
        return 1 if self.hosts is not None else self.num_ranks


class ShownRank(View):
    """A rank, with what it said of the last step; null before one is finished."""

    rank: int
    host: str
    fate: RankFate
    said: RankStep | None


class ShownRanks(View):
    """The ranks of a run; none where one process works on it alone."""

    step: int | None
    ranks: tuple[ShownRank, ...]


class ShownHost(View):
    """A host of a file, as the user is asked about it."""

    ssh: str
    ips: tuple[str, ...]
    chip: str | None
    memory_gb: float | None


class ShownHosts(View):
    """The hosts of a file, this machine first; names of the others are what to confirm."""

    hosts: tuple[ShownHost, ...]


ALONE = Chosen(num_ranks=1)
HERE = RanksAsked()


def choose(settings: BackendSettings, asked: RanksAsked, config: RunConfig) -> Chosen:
    """Where a run's processes shall work.

    Raises:
        ConfigError: the method or the teacher wants another number of them.
        ConflictError: other hosts are named, and the user did not confirm exactly them.
        InputError: the file of hosts cannot be used.
    """
    chosen = Chosen(num_ranks=asked.ranks)
    if asked.hosts is not None:
        if asked.ranks != 1:
            raise InputError("ranks and hosts both say where it works.", "Give one of them.")
        hosts = _read(settings, asked.hosts)
        _refuse_unconfirmed(hosts, asked.confirm_hosts)
        chosen = Chosen(num_ranks=len(hosts.hosts), hosts=hosts)
    settled = settings_of(config)
    if chosen.num_ranks > 1 and not isinstance(settled, OptimizerSettings):
        raise InputError("An evaluation is one process's work.", "Leave ranks and hosts out.")
    shards = shards_of(settled)
    if shards not in (1, chosen.num_ranks):
        field = f"{BLOCK_OF_METHOD[config.method]}.teacher_shards"
        raise ConfigError(
            f"teacher_shards is {shards}, and the run has {chosen.num_ranks} of {shards} ranks.",
            "Let as many ranks work as the teacher has shards.",
            ((field, f"is not the number of ranks, {chosen.num_ranks}"),),
        )
    return chosen


def show_hosts(settings: BackendSettings, path: str) -> ShownHosts:
    """The hosts of a file that could be started on; nothing is asked of them.

    Raises:
        InputError: the file of hosts cannot be used.
    """
    return ShownHosts(
        hosts=tuple(
            ShownHost(ssh=host.ssh, ips=host.ips, chip=host.chip, memory_gb=host.memory_gb)
            for host in _read(settings, path).hosts
        )
    )


def _read(settings: BackendSettings, text: str) -> Hosts:
    file = picked_file(text)
    allowed = (Path.home().resolve(), settings.workspace.resolve())
    if not any(file.is_relative_to(folder) for folder in allowed):
        raise PathError(
            f"{file} lies outside your own folders.",
            f"Put the file of hosts into {allowed[0]}.",
        )
    if file.stat().st_size > MOST_BYTES:
        raise PathError(f"{file} is too large for a file of hosts.", "Pick another file.")
    hosts = read_hosts(file)
    if hosts.envs:
        raise InputError(
            f"{file} sets variables on the hosts, which the screen does not start with.",
            "Remove envs from it, or start in a terminal: opd train --hosts.",
        )
    return hosts


def _refuse_unconfirmed(hosts: Hosts, confirmed: tuple[str, ...]) -> None:
    others = hosts.hosts[1:]
    if confirmed != tuple(host.ssh for host in others):
        named = ", ".join(f"{host.ssh} ({', '.join(host.ips)})" for host in others)
        raise ConflictError(
            f"This starts {len(others)} more processes, over ssh, on: {named}.",
            "Confirm these hosts, or leave the file of hosts out.",
            code="confirm_hosts",
        )


def keep(workspace: Path, run_id: str, chosen: Chosen) -> None:
    """Write down where a run's processes work; nothing is written of one that works alone."""
    file = _file(workspace, run_id)
    if chosen == ALONE:
        forget(workspace, run_id)
        return
    make_private(file.parent)
    write_text_atomically(file, chosen.model_dump_json())


def forget(workspace: Path, run_id: str) -> None:
    """Let a run be one process here: another run of its id was not confirmed to be more."""
    for file in (_file(workspace, run_id), _hosts_file(workspace, run_id)):
        file.unlink(missing_ok=True)


def chosen_for(workspace: Path, run_id: str) -> Chosen:
    """Where a run's processes work; here alone, unless something else was written down.

    Raises:
        RunError: what was written down is damaged.
    """
    file = _file(workspace, run_id)
    try:
        return Chosen.model_validate_json(read_plain(file))
    except FileNotFoundError:
        return ALONE
    except ValidationError as error:
        raise RunError(
            f"{file} is damaged, which says where the ranks of {run_id} work.",
            "Remove it: the run then goes on as one process.",
        ) from error


def rank_options(workspace: Path, run_id: str) -> list[str]:
    """What a worker's command says of its ranks.

    Hosts are written anew from what was confirmed, so that no other file of them is ever used.

    Raises:
        RunError: what was written down is damaged.
    """
    chosen = chosen_for(workspace, run_id)
    if chosen.hosts is not None:
        file = _hosts_file(workspace, run_id)
        write_text_atomically(file, chosen.hosts.model_dump_json())
        return ["--hosts", str(file)]
    return [] if chosen == ALONE else ["-n", str(chosen.num_ranks)]


def show_ranks(workspace: Path, run: RunDirectory) -> ShownRanks:
    """The ranks of a run with what they said last, and what became of each.

    Raises:
        RunError: what was written down of them is damaged.
    """
    chosen, said = chosen_for(workspace, run.run_id), read_ranks(run)
    spoken = {} if said is None else {one.rank: one for one in said.ranks}
    number = max(chosen.num_ranks if chosen != ALONE else 0, len(spoken))
    state, tail = run.state(), read_log_tail(run)
    named = [] if chosen.hosts is None else [host.ssh for host in chosen.hosts.hosts]
    return ShownRanks(
        step=None if said is None else said.step,
        ranks=tuple(
            ShownRank(
                rank=rank,
                host=named[rank] if rank < len(named) else _host_of(spoken.get(rank)),
                fate=fate_of(rank, state, tail),
                said=spoken.get(rank),
            )
            for rank in range(number)
        ),
    )


def _host_of(said: RankStep | None) -> str:
    return "this machine" if said is None else said.host


def _file(workspace: Path, run_id: str) -> Path:
    return workspace / "ranks" / f"{run_id}.json"


def _hosts_file(workspace: Path, run_id: str) -> Path:
    return workspace / "ranks" / f"{run_id}.hosts.json"
