"""Apple's chips: memory bandwidth and matrix throughput, and which one this machine has.

Bandwidths are Apple's published ones. Throughputs are estimates: GPU cores times clock for 16-bit
products, and for the M5 with its neural accelerators the figure that published prompt speeds imply.
The efficiencies say how much of both a training loop gets; they are fitted to the forecasts in
docs, not measured on these machines. Before the M3 a GPU has no bfloat16 of its own, hence the
lower ones.
"""

from __future__ import annotations

import platform
import re
import subprocess
from dataclasses import dataclass

from OnPolicyDistill.errors import InputError

SYSCTL = "/usr/sbin/sysctl"


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip; bandwidth in GB/s (1e9), throughput in TFLOP/s, efficiencies as shares."""

    name: str
    bandwidth_gb_s: float
    tflops: float
    decode_efficiency: float
    matmul_efficiency: float
    # One decoded token costs at least this much: graph building and kernel launches.
    seconds_per_decode_step: float = 0.0015

    @property
    def bytes_per_second(self) -> float:
        """Bandwidth that decoding gets."""
        return self.bandwidth_gb_s * 1e9 * self.decode_efficiency

    @property
    def operations_per_second(self) -> float:
        """Floating-point operations a second that large matrix products get."""
        return self.tflops * 1e12 * self.matmul_efficiency


# Decoding and matrix products, by generation.
EFFICIENCY = {
    "m1": (0.45, 0.60),
    "m2": (0.45, 0.65),
    "m3": (0.80, 0.77),
    "m4": (0.80, 0.74),
    "m5": (0.80, 0.55),
}
# Name, GB/s, TFLOP/s. Where a chip was sold with fewer GPU cores, the larger one has the name.
SPECIFICATIONS: tuple[tuple[str, float, float], ...] = (
    ("m1", 68, 2.6),
    ("m1-pro", 200, 5.2),
    ("m1-max", 400, 10.4),
    ("m1-ultra", 800, 20.8),
    ("m2", 100, 3.6),
    ("m2-pro", 200, 6.8),
    ("m2-max", 400, 13.6),
    ("m2-ultra", 800, 27.2),
    ("m3", 100, 3.5),
    ("m3-pro", 150, 6.4),
    ("m3-max", 400, 14.2),
    ("m3-ultra", 819, 28.3),
    ("m4", 120, 4.3),
    ("m4-pro", 273, 9.2),
    ("m4-max", 546, 18.4),
    ("m5", 153, 17.0),
    ("m5-pro", 307, 35.0),
    ("m5-max", 614, 70.0),
)
CHIPS: dict[str, Chip] = {
    name: Chip(name, bandwidth, tflops, *EFFICIENCY[name.split("-")[0]])
    for name, bandwidth, tflops in SPECIFICATIONS
}
# Two cores of another processor, fitted to the embedded pair: what its small matrices get, and
# a token's kernels one after the other. No forecast for real models.
OTHER_PROCESSOR = Chip("cpu", 20, 0.1, 0.5, 0.1, 0.010)


def find_chip(name: str) -> Chip:
    """Return a chip by name, as `m3-ultra` or `Apple M3 Ultra`.

    Raises:
        InputError: no such chip; names the known ones.
    """
    plain = re.sub(r"[\s_-]+", "-", name.strip().lower()).removeprefix("apple-")
    chip = OTHER_PROCESSOR if plain == OTHER_PROCESSOR.name else CHIPS.get(plain)
    if chip is None:
        raise InputError(f"There is no chip {name!r} in the table.", f"Known: {', '.join(CHIPS)}.")
    return chip


def this_chip() -> Chip:
    """The chip of this machine; a slow unknown one where it is no Mac or not in the table."""
    if platform.system() != "Darwin":
        return OTHER_PROCESSOR
    try:
        brand = subprocess.run(
            [SYSCTL, "-n", "machdep.cpu.brand_string"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout
        return find_chip(brand)
    except (OSError, subprocess.SubprocessError, InputError):
        return OTHER_PROCESSOR
