"""What a host says of itself when it is checked: versions, memory, models, and how fast a link is.

A host writes one line of JSON, which names the port that it listens on, and then answers on that
port whatever measures the link (distributed/checking.py). Nothing of a workspace is touched.
"""

from __future__ import annotations

import hashlib
import platform
import socket
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.machine import processor_name
from OnPolicyDistill.planning.chips import this_chip
from OnPolicyDistill.planning.free_memory import available_bytes
from OnPolicyDistill.registry import local_folder

PACKAGES = ("onpolicydistill", "mlx", "mlx-lm", "mlx-vlm")
GB, GIB = 1e9, 2**30
WAIT_SECONDS = 20.0  # for whoever measures the link
WHOLE_BYTES = 4_000_000  # smaller files are compared as a whole, others by size and both ends
END_BYTES = 65_536
PIECE_BYTES = 1_000_000
PING, DATA, DONE = b"p", b"d", b"e"

Say = Callable[[str], None]


class HostAnswer(BaseModel):
    """What a host says of itself; of a model that it does not have, None.

    Memory is in GB of 1e9 bytes, and `memory_named_gb` as its maker names it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    processor: str
    chip: str
    memory_named_gb: float
    python: str
    packages: dict[str, str]
    memory_gb: float
    free_gb: float
    models: dict[str, str | None]
    port: int


def answer(address: str, models: list[str], say: Say) -> None:
    """Say what this host is, then answer one link measurement on an address of it.

    Raises:
        OSError: the address is not this host's, or nobody came.
    """
    with closing(socket.create_server((address, 0))) as listening:
        listening.settimeout(WAIT_SECONDS)
        say(describe_host(models, listening.getsockname()[1]).model_dump_json())
        connection, _ = listening.accept()
        with closing(connection):
            connection.settimeout(WAIT_SECONDS)
            _echo(connection)


def describe_host(models: list[str], port: int) -> HostAnswer:
    """What this host is, and which of the models it has."""
    return HostAnswer(
        processor=processor_name(),
        chip=this_chip().name,
        memory_named_gb=round(psutil.virtual_memory().total / GIB, 1),
        python=platform.python_version(),
        packages={name: _version(name) for name in PACKAGES},
        memory_gb=round(psutil.virtual_memory().total / GB, 1),
        free_gb=round(available_bytes() / GB, 1),
        models={name: fingerprint(name) for name in models},
        port=port,
    )


def fingerprint(name: str) -> str | None:
    """A hash of a model's files by name, size and content; of large files both ends count."""
    folder = local_folder(name)
    if folder is None:
        return None
    told = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        told.update(f"{file.name}:{file.stat().st_size}:".encode())
        told.update(_some_of(file))
    return told.hexdigest()[:16]


def _some_of(file: Path) -> bytes:
    size = file.stat().st_size
    with file.open("rb") as stream:
        if size <= WHOLE_BYTES:
            return stream.read()
        first = stream.read(END_BYTES)
        stream.seek(size - END_BYTES)
        return first + stream.read()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _echo(connection: socket.socket) -> None:
    """Answer every byte that comes alone, and count what comes behind a length of 8 bytes."""
    while head := connection.recv(1):
        if head == PING:
            connection.sendall(PING)
            continue
        length = int.from_bytes(_exactly(connection, 8), "big")
        while length:
            length -= len(_exactly(connection, min(length, PIECE_BYTES)))
        connection.sendall(DONE)


def _exactly(connection: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        piece = connection.recv(size - len(received))
        if not piece:
            raise ConnectionError("the other side hung up")
        received += piece
    return bytes(received)
