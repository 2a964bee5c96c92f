"""Single tensors of safetensors files, found by their headers and copied as bytes.

A model can be put together from parts of others this way without loading one: of a file only the
header and the tensors that are wanted are read, and memory holds a few megabytes at a time.

The format (github.com/huggingface/safetensors): eight bytes with the header's length, little end
first, the header as a JSON object of name to `dtype`, `shape` and `data_offsets`, then the data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.planning.weights import INDEX_FILE, check_whole
from OnPolicyDistill.stopping import check_stop

BYTES_AT_ONCE = 16 * 2**20
LENGTH_BYTES = 8
# Readers map files into memory and want numbers to begin at multiples of their size.
ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor that lies in a file: its type as the format names it, and where its bytes are.

    `name` is what the file calls it.
    """

    file: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    num_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """The tensor's bytes in order, a few megabytes at a time."""
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            left = self.num_bytes
            while left:
                check_stop()
                chunk = stream.read(min(left, BYTES_AT_ONCE))
                if not chunk:
                    raise ModelError(f"{self.file} is cut short.", "Download it again.")
                left -= len(chunk)
                yield chunk

    def read(self) -> bytes:
        """The whole tensor's bytes."""
        return b"".join(self.chunks())


@dataclass(frozen=True, slots=True)
class MadeTensor:
    """A tensor that is in no file yet: its bytes, in the order of its shape."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def num_bytes(self) -> int:
        """Size of the data."""
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        """The data."""
        yield self.data


Tensor = StoredTensor | MadeTensor
Named = Mapping[str, Tensor]


def find_tensors(folder: Path, is_wanted: Callable[[str], bool]) -> dict[str, StoredTensor]:
    """Wanted tensors of a model folder by name; files that hold none of them are not opened.

    They need not even be there, where an index says which file holds what.

    Raises:
        ModelError: a file that holds a wanted tensor is missing, cut short, or none at all.
    """
    found: dict[str, StoredTensor] = {}
    for file in files_with(folder, is_wanted):
        if not file.is_file():
            raise ModelError(
                f"{folder} lacks {file.name}, which holds weights that are needed.",
                "Start the download again; what is there is kept.",
            )
        check_whole(file)
        found |= {name: each for name, each in read_header(file).items() if is_wanted(name)}
    return dict(sorted(found.items()))


def files_with(folder: Path, is_wanted: Callable[[str], bool]) -> list[Path]:
    """Files of a folder that may hold wanted tensors: what its index says, else all of them.

    Raises:
        ModelError: the index has no usable map, or there are no files at all.
    """
    if (folder / INDEX_FILE).is_file():
        weight_map = read_json(folder / INDEX_FILE).get("weight_map")
        if not isinstance(weight_map, dict):
            raise ModelError(f"{folder / INDEX_FILE} has no weight_map.", "Download it again.")
        names = {Path(str(file)).name for name, file in weight_map.items() if is_wanted(str(name))}
        return [folder / name for name in sorted(names)]
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise ModelError(
            f"There are no weights (model*.safetensors) in {folder}.",
            "Download the model again; PyTorch .bin files are not read.",
        )
    return files


def read_header(file: Path) -> dict[str, StoredTensor]:
    """Every tensor of a file that `check_whole` found whole, without its data."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(LENGTH_BYTES), "little")
        header: dict[str, dict[str, list[int]]] = json.loads(stream.read(length))
    first = LENGTH_BYTES + length
    found = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            shape = tuple(entry["shape"])
            start, size = first + begin, end - begin
            found[name] = StoredTensor(file, name, str(entry["dtype"]), shape, start, size)
    return found


def write_tensors(file: Path, tensors: Named) -> None:
    """Write a safetensors file in the order of the names given."""
    header: dict[str, object] = {"__metadata__": {"format": "mlx"}}
    end = 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.num_bytes
        header[name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
        for tensor in tensors.values():
            for chunk in tensor.chunks():
                stream.write(chunk)


def in_files(tensors: Named, most_bytes: int) -> list[dict[str, Tensor]]:
    """Cut tensors, in their order, into files of at most so many bytes."""
    files: list[dict[str, Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if files[-1] and size + tensor.num_bytes > most_bytes:
            files.append({})
            size = 0
        files[-1][name] = tensor
        size += tensor.num_bytes
    return files
