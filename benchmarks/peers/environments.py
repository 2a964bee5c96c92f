"""Environments of other programs, made on first use under build/peers, from the package registry.

Each has the versions that are written here and nothing of ours. Where one cannot be had (no
network, no wheel for this machine, no room) the race goes on without it and says why.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2] / "build" / "peers"
INSTALL_SECONDS = 900
READY = "installed.txt"


class Unavailable(Exception):  # noqa: N818  (a reason, not a fault)
    """Another program cannot be had here; the text says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another program: the folder of its environment, what is installed, and its side of a race."""

    environment: str
    packages: tuple[str, ...]
    worker: str


# Torch's CPU build is what its registry gives for this version on a Mac; on Linux a machine's own
# index may have one, and otherwise pip takes the large build, which works too.
TRL = ("torch==2.13.0", "trl==1.16.0", "peft==0.21.2")
PEERS = {
    "trl_distillation": Peer("trl", TRL, "trl_worker.py"),
    "trl_gkd": Peer("trl", TRL, "trl_worker.py"),
}


def python_of(peer: Peer) -> Path:
    """The Python of a program's environment, made where it is missing.

    Raises:
        Unavailable: it cannot be installed here.
    """
    folder = ROOT / peer.environment
    python = folder / "bin" / "python"
    wanted = "\n".join(peer.packages)
    ready = folder / READY
    if ready.is_file() and ready.read_text(encoding="utf-8") == wanted:
        return python
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *peer.packages],
    ):
        _run(command, peer)
    ready.write_text(wanted, encoding="utf-8")
    return python


def _run(command: list[str], peer: Peer) -> None:
    what = f"{', '.join(peer.packages)} could not be installed"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{what}: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or "pip gave no reason").splitlines()[-1]
        raise Unavailable(f"{what}: {last}")
