"""`opd hosts`: the machines of a file of hosts, looked at before anything starts on them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from OnPolicyDistill.cli.groups import CommandGroup
from OnPolicyDistill.cli.output import (
    JsonOption,
    WorkspaceOption,
    default_workspace,
    print_json,
    print_table,
    print_text,
)

if TYPE_CHECKING:
    from OnPolicyDistill.distributed.checking import Checked
    from OnPolicyDistill.distributed.hosts import Hosts

app = typer.Typer(
    cls=CommandGroup, help="Check the machines that train together.", no_args_is_help=True
)

HostsArgument = Annotated[Path, typer.Argument(metavar="HOSTS", help="JSON file of hosts.")]


@app.command("check")
def check(
    hosts: HostsArgument,
    config: Annotated[
        Path | None,
        typer.Option(help="Config or preset: its models and its need of memory are looked at too."),
    ] = None,
    write: Annotated[
        bool, typer.Option(help="Put chip, memory and link speed into the file, for opd plan.")
    ] = False,
    workspace: WorkspaceOption = None,
    json: JsonOption = False,
) -> None:
    """Ask every host: ssh, versions, models, free memory, and how fast the link to it is."""
    from OnPolicyDistill.distributed.checking import check_hosts, with_measures
    from OnPolicyDistill.distributed.hosts import read_hosts

    found = read_hosts(hosts)
    models, needed_gb = _wanted(config, workspace)
    checked = check_hosts(found, models, needed_gb)
    if write:
        _write(hosts, with_measures(found, checked))
    if json:
        print_json([_as_json(one) for one in checked])
    else:
        print_table(["host", "processor", "mlx", "free GB", "MB/s", "ms"], list(map(_row, checked)))
        for one in checked:
            for problem in one.problems:
                print_text(f"{one.host.ssh}: {problem}")
    if any(one.problems for one in checked):
        raise typer.Exit(1)


@app.command("answer", hidden=True)
def answer_check(
    address: Annotated[str, typer.Argument(help="An address of this machine.")],
    model: Annotated[list[str] | None, typer.Option(help="A model to look for.")] = None,
) -> None:
    """Say what this host is; `opd hosts check` asks it over ssh."""
    import sys

    from OnPolicyDistill.distributed.answering import answer

    def say(line: str) -> None:
        print_text(line)
        sys.stdout.flush()

    answer(address, model or [], say)


def _write(file: Path, hosts: Hosts) -> None:
    from OnPolicyDistill.files import write_text_atomically

    write_text_atomically(file, hosts.model_dump_json(indent=2, exclude_defaults=True) + "\n")


def _wanted(config: Path | None, workspace: Path | None) -> tuple[list[str], float | None]:
    """The models of a config, and the memory in GB that one rank needs by forecast."""
    if config is None:
        return [], None
    from OnPolicyDistill.cli.settings import Given, load_settings
    from OnPolicyDistill.config import settings_of
    from OnPolicyDistill.methods import models_to_load
    from OnPolicyDistill.planning.starting import plan_start

    settings = load_settings(config, Given({}))
    plan = plan_start(settings, workspace or default_workspace())
    return models_to_load(settings_of(settings)), None if plan is None else plan.needed_gb


def _row(one: Checked) -> list[str]:
    if one.answer is None:
        return [one.host.ssh, "", "", "", "", ""]
    link = ["", ""]
    if one.link is not None:
        link = [f"{one.link.mb_per_second:.0f}", f"{one.link.round_trip_ms:.2f}"]
    answer = one.answer
    return [one.host.ssh, answer.processor, answer.packages["mlx"], f"{answer.free_gb:.1f}", *link]


def _as_json(one: Checked) -> dict[str, object]:
    return {
        "ssh": one.host.ssh,
        "ips": list(one.host.ips),
        "answer": None if one.answer is None else one.answer.model_dump(mode="json"),
        "link": None if one.link is None else asdict(one.link),
        "problems": list(one.problems),
    }
