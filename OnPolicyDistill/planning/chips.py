"""Apple's chips: memory bandwidth and matrix throughput, and which one this machine has.

Bandwidths and GPU cores are Apple's published ones. Throughputs are GPU cores times what a core of
that generation multiplies in 16 bit without the neural accelerators of the M5 and later; what
those add is fitted, like every share of both that a program gets (planning/speeds.py). A chip that
is not in the table is scaled from the newest known one of its tier, and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

from OnPolicyDistill.errors import InputError
from OnPolicyDistill.machine import Mac, this_mac
from OnPolicyDistill.planning.speeds import METAL, OTHER_SPEEDS, Speeds

Source = Literal["known", "estimated", "unknown"]

FIRST_ACCELERATED = 5
# The first macOS whose wheel of MLX uses them.
ACCELERATING_MACOS = (26, 2)
NAME = re.compile(r"\bm(\d+)(?:[\s_-]*(pro|max|ultra))?(?:[\s_-]+(\d+))?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Chip:
    """One chip; bandwidth in GB/s (1e9), throughput in TFLOP/s without accelerators.

    `source` says whether the figures are published, scaled from those of a chip that is, or
    scaled because the chip was not known when this was written; `note` says it in words.
    """

    name: str
    gpu_cores: int
    bandwidth_gb_s: float
    tflops: float
    is_accelerated: bool = False
    source: Source = "known"
    note: str = ""
    speeds: Speeds = METAL

    @property
    def bytes_per_second(self) -> float:
        """Bandwidth that decoding gets."""
        return self.bandwidth_gb_s * 1e9 * self.speeds.bandwidth_share

    @property
    def vector_operations_per_second(self) -> float:
        """Operations a second of large products without accelerators."""
        return self.tflops * 1e12 * self.speeds.matrix_share

    @property
    def operations_per_second(self) -> float:
        """Operations a second that large matrix products get."""
        return self.vector_operations_per_second * self.acceleration

    @property
    def acceleration(self) -> float:
        """How many times as much its accelerators multiply; 1 where it has none."""
        return self.speeds.accelerators if self.is_accelerated else 1.0

    @property
    def has_two_dies(self) -> bool:
        """Whether it is two chips in one."""
        return "ultra" in self.name


# TFLOP/s of one GPU core by generation. The M6 has the M5's cores as far as is published.
CORE_TFLOPS = {1: 0.325, 2: 0.358, 3: 0.355, 4: 0.46, 5: 0.46, 6: 0.46}
# Name, and for each number of GPU cores it was sold with the bandwidth in GB/s, most cores first.
# M5 Ultra and M6: Apple's announcement of August 2026, as midudev/canirun.ai #26 has it; M5 Max
# with 32 cores: 0xBakeer/inference-atlas #194.
SPECIFICATIONS: dict[str, dict[int, float]] = {
    "m1": {8: 68, 7: 68},
    "m1-pro": {16: 200, 14: 200},
    "m1-max": {32: 400, 24: 400},
    "m1-ultra": {64: 800, 48: 800},
    "m2": {10: 100, 8: 100},
    "m2-pro": {19: 200, 16: 200},
    "m2-max": {38: 400, 30: 400},
    "m2-ultra": {76: 800, 60: 800},
    "m3": {10: 100, 8: 100},
    "m3-pro": {18: 150, 14: 150},
    "m3-max": {40: 400, 30: 300},
    "m3-ultra": {80: 819, 60: 819},
    "m4": {10: 120, 8: 120},
    "m4-pro": {20: 273, 16: 273},
    "m4-max": {40: 546, 32: 410},
    "m5": {10: 153, 8: 153},
    "m5-pro": {20: 307, 16: 307},
    "m5-max": {40: 614, 32: 460},
    "m5-ultra": {80: 1200},
    "m6": {12: 170},
}
# Nothing is published of these; they are planned for as the M5's, faster as an M6 is than an M5.
ESTIMATED = ("m6-pro", "m6-max", "m6-ultra")
# Two cores of another processor. No forecast for real models.
OTHER_PROCESSOR = Chip("cpu", 0, 20, 0.1, speeds=OTHER_SPEEDS)


def find_chip(name: str) -> Chip:
    """Return a chip by name, as `m3-ultra`, `Apple M3 Ultra` or, with 30 GPU cores, `m3-max-30`.

    An Apple chip that is not in the table is scaled from the newest known one of its tier.

    Raises:
        InputError: the name is none of a chip; names the known ones.
    """
    plain = re.sub(r"[\s_-]+", "-", name.strip().lower()).removeprefix("apple-")
    if plain == OTHER_PROCESSOR.name:
        return OTHER_PROCESSOR
    match = NAME.fullmatch(plain)
    cores = None if match is None or match[3] is None else int(match[3])
    if match is None or int(match[1]) == 0 or cores == 0:
        near = get_close_matches(plain, CHIPS, 1)
        question = f" Is it {near[0]}?" if near else ""
        known = ", ".join(CHIPS)
        raise InputError(f"There is no chip {name!r} in the table.{question}", f"Known: {known}.")
    return _of_generation(int(match[1]), match[2], cores)


def this_chip() -> Chip:
    """The chip of this machine by its own words; a slow unknown one where it is no Mac."""
    mac = this_mac()
    return OTHER_PROCESSOR if mac is None else chip_of(mac)


def chip_of(mac: Mac) -> Chip:
    """The chip of a Mac, with as many GPU cores as it says.

    One whose name cannot be read is taken for the newest known of the smallest tier. Accelerators
    count from the first macOS that MLX can use them on.
    """
    match = NAME.search(mac.brand)
    if match is None:
        chip = _unknown(mac.brand or "a chip without a name", _newest(""), mac.gpu_cores)
    else:
        chip = _of_generation(int(match[1]), (match[2] or "").lower() or None, mac.gpu_cores)
    if chip.is_accelerated and mac.macos and mac.macos < ACCELERATING_MACOS:
        wanted = ".".join(map(str, ACCELERATING_MACOS))
        note = f"{chip.note} MLX uses its accelerators from macOS {wanted} on.".strip()
        return replace(chip, is_accelerated=False, note=note)
    return chip


def _of_generation(generation: int, tier: str | None, cores: int | None) -> Chip:
    name = f"m{generation}" if tier is None else f"m{generation}-{tier}"
    if name in SPECIFICATIONS:
        return _known(name, cores)
    if name in ESTIMATED:
        return _estimated(name, cores)
    return _unknown(name, _newest("" if tier is None else tier), cores)


def _known(name: str, cores: int | None) -> Chip:
    """A chip of the table; one with another number of cores has the nearest one's share."""
    sold = SPECIFICATIONS[name]
    full = next(iter(sold))
    count = full if cores is None else cores
    nearest = min(sold, key=lambda each: abs(each - count))
    bandwidth = sold[nearest]
    chip = _chip(name if count == full else f"{name}-{count}", count, bandwidth)
    if count in sold:
        return chip
    note = (
        f"{name} with {count} GPU cores is new here: its bandwidth is that of one with {nearest}."
    )
    return replace(chip, source="estimated", note=note)


def _estimated(name: str, cores: int | None) -> Chip:
    """A chip of a known generation of which nothing is published, from the one before it."""
    before = _known(f"m5-{name.partition('-')[2]}", None)
    ((m6_cores, m6_bandwidth),) = SPECIFICATIONS["m6"].items()
    m5_cores, m5_bandwidth = next(iter(SPECIFICATIONS["m5"].items()))
    count = round(before.gpu_cores * m6_cores / m5_cores) if cores is None else cores
    bandwidth = round(before.bandwidth_gb_s * m6_bandwidth / m5_bandwidth)
    note = (
        f"Nothing is published of {name}: this is {before.name}, faster as an M6 is than an M5, "
        "so an estimate."
    )
    return replace(_chip(name, count, bandwidth), source="estimated", note=note)


def _unknown(name: str, like: Chip, cores: int | None) -> Chip:
    """An Apple chip that came later than this table: the newest known one, by its cores."""
    share = 1.0 if cores is None else cores / like.gpu_cores
    note = f"{name} is unknown here: this is {like.name}, the newest known of its tier"
    note += "." if cores is None else f", scaled to {cores} GPU cores."
    return replace(
        like,
        name=name,
        gpu_cores=like.gpu_cores if cores is None else cores,
        bandwidth_gb_s=round(like.bandwidth_gb_s * share),
        tflops=round(like.tflops * share, 2),
        source="unknown",
        note=note,
    )


def _newest(tier: str) -> Chip:
    """The chip of the highest generation with published figures in a tier; "" has no suffix."""
    names = [name for name in SPECIFICATIONS if name.partition("-")[2] == tier]
    return _known(max(names, key=_generation_of), None)


def _generation_of(name: str) -> int:
    return int(name.partition("-")[0].removeprefix("m"))


def _chip(name: str, cores: int, bandwidth: float) -> Chip:
    generation = _generation_of(name)
    return Chip(
        name=name,
        gpu_cores=cores,
        bandwidth_gb_s=bandwidth,
        tflops=round(cores * CORE_TFLOPS[generation], 2),
        is_accelerated=generation >= FIRST_ACCELERATED,
    )


CHIPS: dict[str, Chip] = {
    chip.name: chip
    for name, sold in SPECIFICATIONS.items()
    for chip in (_known(name, cores) for cores in sold)
} | {name: _estimated(name, None) for name in ESTIMATED}
