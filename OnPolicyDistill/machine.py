"""What a Mac says of itself without MLX: chip, GPU cores, macOS, and the GPU's limit of memory.

`sysctl` names the chip, the I/O registry counts its GPU cores: chips are sold with fewer of them
under the same name. Both answer within milliseconds; system_profiler takes a second.
"""

from __future__ import annotations

import platform
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache

SYSCTL = ("/usr/sbin/sysctl", "-n")
IOREG = ("/usr/sbin/ioreg", "-r", "-d", "1", "-c", "AGXAccelerator")
GPU_CORES = re.compile(r'"gpu-core-count"\s*=\s*(\d+)')
SECONDS_TO_ANSWER = 5


@dataclass(frozen=True, slots=True)
class Mac:
    """A Mac by its own words; `brand` is empty and `gpu_cores` is None where it did not say."""

    brand: str
    gpu_cores: int | None
    macos: tuple[int, ...]


@lru_cache(maxsize=1)
def this_mac() -> Mac | None:
    """Ask this machine once; None where it is no Mac with a chip of Apple's own."""
    if platform.system() != "Darwin" or platform.machine() != "arm64":
        return None
    cores = GPU_CORES.search(_said(IOREG))
    return Mac(
        brand=_said((*SYSCTL, "machdep.cpu.brand_string")).strip(),
        gpu_cores=None if cores is None else int(cores[1]),
        macos=parse_version(platform.mac_ver()[0]),
    )


def raised_gpu_limit() -> int | None:
    """Bytes that the user lets the GPU wire by `iogpu.wired_limit_mb`; None where it is unset."""
    if platform.system() != "Darwin":
        return None
    said = _said((*SYSCTL, "iogpu.wired_limit_mb")).strip()
    megabytes = int(said) if said.isdigit() else 0
    return megabytes * 2**20 or None


def processor_name() -> str:
    """The processor as runs record it, such as `Apple M4 Max (40 GPU cores)`, else its kind."""
    mac = this_mac()
    if mac is None or not mac.brand:
        return platform.machine() or "unknown"
    return mac.brand if mac.gpu_cores is None else f"{mac.brand} ({mac.gpu_cores} GPU cores)"


def parse_version(text: str) -> tuple[int, ...]:
    """Return (26, 2) from 26.2, and nothing from what is no version."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _said(command: tuple[str, ...]) -> str:
    """What a program of macOS prints; nothing where it fails or does not answer."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
