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
class StoredTensor:
    """A tensor as a header tells it; packed weights have fewer columns than what they unpack to."""

    num_bytes: int
    shape: tuple[int, ...]


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
    tensors = read_tensors(folder)
    sizes = {name: tensor.num_bytes for name, tensor in tensors.items()}
    return StoredWeights(
        total_bytes=sum(sizes.values()),
        embedding_bytes=sum(size for name, size in sizes.items() if "embed_tokens." in name),
        head_bytes=sum(size for name, size in sizes.items() if "lm_head." in name),
    )


def read_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Tensors by name of every model*.safetensors file in a folder, without their data.

    Raises:
        ModelError: there is none, or a header is damaged; names the file.
    """
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("*.safetensors"))
    if not files:
        raise ModelError(f"{folder} has no safetensors files.", "Download the model again.")
    return {name: tensor for file in files for name, tensor in read_header(file).items()}


def read_header(file: Path) -> dict[str, StoredTensor]:
    """Tensors by name in a safetensors file, read without their data.

    Raises:
        ModelError: the file is cut short or its header is no JSON of offsets.
    """
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(LENGTH_BYTES))
            if length > MAX_HEADER_BYTES:
                raise ValueError("the header is impossibly long")
            header = json.loads(stream.read(length))
        tensors = {
            str(name): StoredTensor(
                int(entry["data_offsets"][1]) - int(entry["data_offsets"][0]),
                tuple(int(size) for size in entry["shape"]),
            )
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(file, str(error)) from error
    num_bytes = sum(tensor.num_bytes for tensor in tensors.values())
    if file.stat().st_size != LENGTH_BYTES + length + num_bytes:
        raise _damaged(file, "it is cut short")
    return tensors


def _damaged(file: Path, reason: str) -> ModelError:
    return ModelError(f"{file} is damaged ({reason}).", "Download it again.")
