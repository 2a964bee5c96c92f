"""A file of hosts, one rank each, in the form that `mlx.launch` reads.

    {"backend": "ring", "hosts": [{"ssh": "mac1.local", "ips": ["10.0.0.1"]},
                                  {"ssh": "mac2.local", "ips": ["10.0.0.2"]}]}

The first host is the machine that the command is given on: its rank holds the run. What a forecast
wants to know beside that, `opd hosts check --write` puts in: `chip` and `memory_gb` of a host, and
`mb_per_second` and `round_trip_ms` of the link to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import InputError
from OnPolicyDistill.planning.ranks import RankMachine

Backend = Literal["ring", "jaccl", "mpi"]
# Both become words of commands on other machines.
Address = Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+(%[A-Za-z0-9]+)?$", max_length=64)]
Device = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=64)]
LOCAL = "127.0.0.1"
LAUNCHED = {"ssh", "ips", "rdma"}


class Host(BaseModel):
    """A machine: what ssh calls it, where ranks reach it, and its RDMA devices (JACCL only).

    The rest is for the forecast: what it is, and how fast the first host reaches it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ssh: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_.@:%][A-Za-z0-9_.@:%-]*$")
    ips: tuple[Address, ...] = Field(min_length=1)
    rdma: tuple[Device | None, ...] = ()
    chip: str | None = None
    memory_gb: float | None = Field(None, gt=0, allow_inf_nan=False)
    mb_per_second: float | None = Field(None, gt=0, allow_inf_nan=False)
    round_trip_ms: float | None = Field(None, gt=0, allow_inf_nan=False)

    @property
    def machine(self) -> RankMachine:
        """What a forecast wants to know of it."""
        return RankMachine(
            self.ssh, self.chip, self.memory_gb, self.mb_per_second, self.round_trip_ms
        )


class Hosts(BaseModel):
    """The machines that train together, by rank."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: tuple[Host, ...] = Field(min_length=2)
    backend: Backend | None = None
    envs: tuple[str, ...] = ()

    def for_launch(self) -> dict[str, object]:
        """The file for `mlx.launch`; the first host is here and needs no ssh."""
        hosts = [host.model_dump(mode="json", include=LAUNCHED) for host in self.hosts]
        hosts[0]["ssh"] = LOCAL
        return {"hosts": hosts, "envs": list(self.envs)}


def parse_hosts(file: Path) -> Hosts:
    """Read a file of hosts, wherever they are.

    Raises:
        InputError: it cannot be read, or is of another form.
    """
    try:
        return Hosts.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}.", "Give a file of hosts.") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        raise InputError(
            f"{file}: {where}: {problem['msg']}.",
            'It looks like {"hosts": [{"ssh": "mac1", "ips": ["10.0.0.1"]}, ...]}.',
        ) from error


def read_hosts(file: Path) -> Hosts:
    """Read a file of hosts that begins with this machine.

    Raises:
        InputError: it cannot be read, is of another form, or does not begin with this machine.
    """
    hosts = parse_hosts(file)
    first = hosts.hosts[0]
    if not _is_here(first):
        raise InputError(
            f"{file}: the first host, {first.ssh} at {', '.join(first.ips)}, is not this machine.",
            "Put the machine on which you give the command first: it holds the run.",
        )
    return hosts


def _is_here(host: Host) -> bool:
    own = {address.address for some in psutil.net_if_addrs().values() for address in some}
    return all(ip in own for ip in host.ips)
