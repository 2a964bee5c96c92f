"""Prints the macOS that a program or library needs, by its own load commands: macos-needed.py FILE.

Source: Apple's mach-o/loader.h, LC_BUILD_VERSION.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

MAGIC_64, HEADER_BYTES, BUILD_VERSION = 0xFEEDFACF, 32, 0x32


def macos_needed(file: Path) -> str:
    """The oldest macOS a 64-bit Mach-O file runs on, such as 26.2.

    Raises:
        ValueError: it is no such file, or does not say.
    """
    with file.open("rb") as stream:
        magic, _, _, _, num_commands, command_bytes, _, _ = struct.unpack(
            "<8I", stream.read(HEADER_BYTES)
        )
        if magic != MAGIC_64:
            raise ValueError(f"{file} is no 64-bit Mach-O file.")
        commands = stream.read(command_bytes)
    place = 0
    for _ in range(num_commands):
        kind, size = struct.unpack_from("<2I", commands, place)
        if kind == BUILD_VERSION:
            (version,) = struct.unpack_from("<I", commands, place + 12)
            return f"{version >> 16}.{version >> 8 & 0xFF}"
        place += size
    raise ValueError(f"{file} does not say which macOS it needs.")


if __name__ == "__main__":
    sys.stdout.write(f"{macos_needed(Path(sys.argv[1]))}  {sys.argv[1]}\n")
