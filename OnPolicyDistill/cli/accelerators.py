"""Whether MLX can use the neural accelerators in the GPUs of M5 and later chips.

Three things decide, as in MLX's own `is_nax_available`: the GPU's generation, macOS 26.2, and the
wheel: mlx-metal is published for macOS 14, 15 and 26, and only the last holds those kernels.
Without them an M5 reads prompts about three times slower (docs/verification.md).
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution

BACKENDS = ("mlx-metal", "mlx-cpu", "mlx-cuda-12", "mlx-cuda-13")
FIRST_GENERATION, FIRST_PHONE_GENERATION = 17, 18
FIRST_MACOS, FIRST_WHEEL = (26, 2), (26, 0)
# What macOS 26 calls itself to programs built for an older one (CPython issue 135675).
RENUMBERED = {16: 26}


@dataclass(frozen=True, slots=True)
class Graphics:
    """The GPU as MLX names it (such as `applegpu_g17s`), macOS's version, and the wheel's tag.

    Empty where there is no Metal, no macOS, or no wheel.
    """

    architecture: str
    macos: str
    wheel: str

    @property
    def has_accelerators(self) -> bool:
        """Whether the GPU has them, used or not."""
        found = re.search(r"(\d+)([a-z])$", self.architecture)
        if found is None:
            return False
        first = FIRST_PHONE_GENERATION if found[2] == "p" else FIRST_GENERATION
        return int(found[1]) >= first

    @property
    def uses_accelerators(self) -> bool:
        """Whether MLX uses them as it is installed."""
        return self.has_accelerators and not self.obstacle

    @property
    def obstacle(self) -> str:
        """What has to change before MLX can use them, one sentence; empty if nothing."""
        if not self.has_accelerators:
            return ""
        if _version(self.macos) < FIRST_MACOS:
            return f"Update macOS to 26.2 or later (it is {self.macos}), then run make setup."
        if _wheel_floor(self.wheel) < FIRST_WHEEL:
            return f"Run make setup: the wheel is {self.wheel}, and only macosx_26_0 has them."
        return ""


def installed_wheel() -> tuple[str, str]:
    """Name with version, and tag, of the installed wheel that holds MLX's kernels."""
    for name in BACKENDS:
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        tags = re.findall(r"(?m)^Tag: (.+)$", found.read_text("WHEEL") or "")
        return f"{name} {found.version}", tags[0].rsplit("-", 1)[-1] if tags else "unknown"
    return "", ""


def look_at_graphics(architecture: str) -> Graphics:
    """This machine's GPU, whose architecture MLX has told, with its system and wheel."""
    return Graphics(architecture, platform.mac_ver()[0], installed_wheel()[1])


def _version(text: str) -> tuple[int, int]:
    numbers = [int(number) for number in re.findall(r"\d+", text)] + [0, 0]
    return RENUMBERED.get(numbers[0], numbers[0]), numbers[1]


def _wheel_floor(tag: str) -> tuple[int, int]:
    found = re.fullmatch(r"macosx_(\d+)_(\d+)_arm64", tag)
    return (0, 0) if found is None else (int(found[1]), int(found[2]))
