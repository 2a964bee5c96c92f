"""A file of hosts, one rank each, in the form that `mlx.launch` reads.

    {"backend": "ring", "hosts": [{"ssh": "mac1.local", "ips": ["10.0.0.1"]},
                                  {"ssh": "mac2.local", "ips": ["10.0.0.2"]}]}

The first host is the machine that the command is given on: its rank holds the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import psutil
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import InputError

Backend = Literal["ring", "jaccl", "mpi"]
LOCAL = "127.0.0.1"


class Host(BaseModel):
    """A machine: what ssh calls it, where ranks reach it, and its RDMA devices (JACCL only)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ssh: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_.@:%][A-Za-z0-9_.@:%-]*$")
    ips: tuple[str, ...] = Field(min_length=1)
    rdma: tuple[str | None, ...] = ()


class Hosts(BaseModel):
    """The machines that train together, by rank."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: tuple[Host, ...] = Field(min_length=2)
    backend: Backend | None = None
    envs: tuple[str, ...] = ()

    def for_launch(self) -> dict[str, object]:
        """The file for `mlx.launch`; the first host is here and needs no ssh."""
        hosts = [host.model_dump(mode="json") for host in self.hosts]
        hosts[0]["ssh"] = LOCAL
        return {"hosts": hosts, "envs": list(self.envs)}


def read_hosts(file: Path) -> Hosts:
    """Read a file of hosts.

    Raises:
        InputError: it cannot be read, is of another form, or does not begin with this machine.
    """
    try:
        hosts = Hosts.model_validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}.", "Give a file of hosts.") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        raise InputError(
            f"{file}: {where}: {problem['msg']}.",
            'It looks like {"hosts": [{"ssh": "mac1", "ips": ["10.0.0.1"]}, ...]}.',
        ) from error
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
