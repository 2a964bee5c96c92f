"""What a model's weights weigh on disk, from the headers of its safetensors files alone."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.errors import ModelError

MAX_HEADER_BYTES = 100_000_000
LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """Bytes of all tensors, and of the two that a decoder does not read for every token."""

    total_bytes: int
    embedding_bytes: int
    head_bytes: int

    def loaded_bytes(self, tied: bool) -> int:
        """Bytes in memory: a tied model's stored copy of its head is dropped when loading."""
        return self.total_bytes - (self.head_bytes if tied else 0)


def read_weights(folder: Path) -> StoredWeights:
    """Add up the tensors of every model*.safetensors file in a folder.

    Raises:
        ModelError: there is none, or a header is damaged; names the file.
    """
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder} has no safetensors files.", "Download the model again.")
    sizes = {name: size for file in files for name, size in read_header(file).items()}
    return StoredWeights(
        total_bytes=sum(sizes.values()),
        embedding_bytes=sum(size for name, size in sizes.items() if "embed_tokens." in name),
        head_bytes=sum(size for name, size in sizes.items() if "lm_head." in name),
    )


def read_header(file: Path) -> dict[str, int]:
    """Bytes of each tensor in a safetensors file, read without its data.

    Raises:
        ModelError: the file is cut short or its header is no JSON of offsets.
    """
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(LENGTH_BYTES))
            if length > MAX_HEADER_BYTES:
                raise ValueError("the header is impossibly long")
            header = json.loads(stream.read(length))
        sizes = {
            str(name): int(entry["data_offsets"][1]) - int(entry["data_offsets"][0])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, str(error)) from error
    if file.stat().st_size != LENGTH_BYTES + length + sum(sizes.values()):
        raise _damaged(file, "it is cut short")
    return sizes


def _damaged(file: Path, reason: str) -> ModelError:
    return ModelError(f"{file} is damaged ({reason}).", "Download it again.")
