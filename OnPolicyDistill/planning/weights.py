"""What a model's weights weigh on disk, from the headers of its safetensors files alone."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.files import open_model_file, read_model_file

INDEX_FILE = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000
LENGTH_BYTES = 8
# What comes of a header or an index that anybody may have written.
UNREADABLE = (
    OSError,
    struct.error,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as a header tells it; packed weights have fewer columns than what they unpack to.

    `dtype` is spelled as safetensors does: F32, BF16, U32.
    """

    num_bytes: int
    shape: tuple[int, ...]
    dtype: str


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
        with open_model_file(file) as stream:
            (length,) = struct.unpack("<Q", stream.read(LENGTH_BYTES))
            if length > MAX_HEADER_BYTES:
                raise ValueError("the header is impossibly long")
            header = json.loads(stream.read(length))
        tensors = {
            str(name): StoredTensor(
                int(entry["data_offsets"][1]) - int(entry["data_offsets"][0]),
                tuple(int(size) for size in entry["shape"]),
                str(entry["dtype"]),
            )
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except UNREADABLE as error:
        raise _damaged(file, str(error)) from error
    num_bytes = sum(tensor.num_bytes for tensor in tensors.values())
    if file.stat().st_size != LENGTH_BYTES + length + num_bytes:
        raise _damaged(file, "it is cut short")
    return tensors


def stored_files(folder: Path) -> list[Path]:
    """Return the safetensors files of a model, every one checked to be there and whole.

    Raises:
        ModelError: there are none, a shard that the index names is missing, or one is truncated.
    """
    files = sorted(folder.glob("model*.safetensors"))
    if (folder / INDEX_FILE).is_file():
        named = _indexed_files(folder)
        missing = sorted(named - {file.name for file in files})
        if missing:
            raise ModelError(
                f"{folder} lacks {len(missing)} of {len(named)} weight files, "
                f"first {missing[0]}: the download is incomplete.",
                "Start it again; what is there is kept.",
            )
    if not files:
        raise ModelError(
            f"There are no weights (model*.safetensors) in {folder}.",
            "Download the model again; PyTorch .bin files are not read.",
        )
    for file in files:
        check_whole(file)
    return files


def check_whole(file: Path) -> None:
    """Compare a safetensors file's size with what its own header says it holds.

    Raises:
        ModelError: the file is shorter, or no safetensors file.
    """
    try:
        size = file.stat().st_size
        with open_model_file(file) as stream:
            header_bytes = int.from_bytes(stream.read(LENGTH_BYTES), "little")
            if not 0 < header_bytes <= min(size, MAX_HEADER_BYTES):
                raise ValueError("no header")
            header = json.loads(stream.read(header_bytes))
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        expected = LENGTH_BYTES + header_bytes + max(ends, default=0)
        is_truncated = size < expected
    except UNREADABLE as error:
        raise ModelError(
            f"{file} is not a safetensors file.", "Download the model again."
        ) from error
    if is_truncated:
        raise ModelError(
            f"{file} is truncated: it has {size:,} of {expected:,} bytes.",
            "Delete it and start the download again.",
        )


def _indexed_files(folder: Path) -> set[str]:
    file = folder / INDEX_FILE
    try:
        weight_map = json.loads(read_model_file(file))["weight_map"]
        return {str(name) for name in weight_map.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{file} has no usable weight_map.", "Download the model again."
        ) from error


def _damaged(file: Path, reason: str) -> ModelError:
    return ModelError(f"{file} is damaged ({reason}).", "Download it again.")
