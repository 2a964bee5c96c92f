"""A GGUF file read back: every tensor compared with what it was made of, and a model of them.

The file is read by the `gguf` package whoever wrote it. A model of it computes with MLX: it tells
what the weights in the file are worth, not how llama.cpp rounds while it computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx_lm.gguf import permute_weights, translate_weight_names
from numpy.typing import NDArray

from OnPolicyDistill.adapters.fuse import Progress
from OnPolicyDistill.adapters.gguf_support import INSTALL, OWN_FAMILIES
from OnPolicyDistill.adapters.gguf_writing import name_map, stored_tensors
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.loading import lay_out
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.stopping import check_stop

if TYPE_CHECKING:
    from gguf import GGUFReader, ReaderTensor

# How far a stored number may be from the one it was made of, as a share of what it is measured by:
# the number itself for floats (half of the last place), a block's largest for q8_0 (half a step of
# 127, and the scale's own rounding to 16 bits).
RELATIVE = {"F32": 0.0, "F16": 2**-11, "BF16": 2**-8, "Q8_0": 1 / 254 + 2**-10}
# Below its smallest normal number a 16-bit float has fixed steps.
SMALLEST_STEP = 2.0**-24
BLOCK = 32

Floats = NDArray[np.float32]


def open_gguf(file: Path) -> GGUFReader:
    """Open a file for reading.

    Raises:
        ModelError: the package is missing, or the file is no whole GGUF file.
    """
    try:
        import gguf  # noqa: PLC0415
    except ImportError as error:
        raise ModelError("The package gguf is missing.", INSTALL) from error
    try:
        return gguf.GGUFReader(str(file))
    except (ValueError, KeyError, IndexError, OSError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{file} cannot be read back ({first}).", "Export it again.") from error


def check_gguf(file: Path, folder: Path, progress: Progress) -> None:
    """Compare every tensor of a file with those of the fused folder that it was made of.

    Raises:
        ModelError: one is missing, is not finite, or further off than its type explains.
    """
    config = read_json(folder / "config.json")
    stored = {tensor.name: tensor for tensor in open_gguf(file).tensors}
    tensors = stored_tensors(folder)
    names = {source: file_name(source, config) for source in tensors}
    missing = sorted(set(names.values()) - stored.keys())
    unknown = sorted(stored.keys() - set(names.values()))
    if missing or unknown:
        raise ModelError(
            f"{file.name} was not written whole: it lacks {len(missing)} tensors and has "
            f"{len(unknown)} too many, first {(missing or unknown)[0]}.",
            "Export it again.",
        )
    for done, (source, name) in enumerate(names.items(), start=1):
        check_stop()
        array = tensors.pop(source)  # what was read is not needed again
        wanted = np.array(_permuted(source, array, config).astype(mx.float32))
        if not _is_near(unpacked(stored[name]), wanted, stored[name].tensor_type.name):
            raise ModelError(
                f"{name} in {file.name} is not what it was made of.", "Export it again."
            )
        progress("reading back", done, len(names))


def model_of_gguf(folder: Path, file: Path) -> nn.Module:
    """A model whose weights are those of a file; its layout is that of config.json beside it.

    Raises:
        ModelError: the file cannot be read, or is of another model.
    """
    model, config = lay_out(folder)
    tensors = {tensor.name: tensor for tensor in open_gguf(file).tensors}
    try:
        model.load_weights(list(_weights(model, tensors, config)))
    except (KeyError, ValueError) as error:
        first = str(error).splitlines()[0]
        message = f"The tensors of {file.name} are not those of its config.json ({first})."
        raise ModelError(message, "Export it again.") from error
    mx.eval(model.parameters())
    model.freeze()
    model.eval()
    return model


def file_name(source: str, config: dict[str, object]) -> str:
    """What a tensor of a folder is called in the file."""
    if config["model_type"] not in OWN_FAMILIES:
        return str(translate_weight_names(source))
    name = name_map(config).get_name(source, try_suffixes=(".weight", ".bias"))
    assert name is not None
    return name


def unpacked(tensor: ReaderTensor) -> Floats:
    """A stored tensor as float32, in the shape that models have."""
    import gguf  # noqa: PLC0415

    shape = tuple(int(size) for size in reversed(tensor.shape))
    values: Floats = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    return np.ascontiguousarray(values.reshape(shape))


def _weights(
    model: nn.Module, tensors: dict[str, ReaderTensor], config: dict[str, object]
) -> Iterator[tuple[str, mx.array]]:
    types = {tensor.tensor_type.name for tensor in tensors.values()}
    declared = config.get("torch_dtype", config.get("dtype"))
    # Numbers that were bfloat16 are so again. Others are float32: 16-bit floats overflow between
    # the layers of some models, where llama.cpp computes with more.
    is_half = declared == "bfloat16" and "Q8_0" not in types
    kind = mx.bfloat16 if is_half else mx.float32
    for name in flat_arrays(model.parameters()):
        check_stop()
        tensor = tensors[file_name(name, config)]
        array = mx.array(unpacked(tensor)).astype(kind)
        yield name, _unpermuted(name, array, config)


def _heads(name: str, config: dict[str, object]) -> int | None:
    """How many heads a projection's rows were reordered by: llama's, for llama.cpp's rotation."""
    if config["model_type"] in OWN_FAMILIES:
        return None
    if "self_attn.q_proj.weight" in name:
        return int(str(config["num_attention_heads"]))
    if "self_attn.k_proj.weight" in name:
        return int(str(config["num_key_value_heads"]))
    return None


def _permuted(name: str, array: mx.array, config: dict[str, object]) -> mx.array:
    heads = _heads(name, config)
    return array if heads is None else permute_weights(array, heads, heads)


def _unpermuted(name: str, array: mx.array, config: dict[str, object]) -> mx.array:
    heads = _heads(name, config)
    if heads is None:
        return array
    halves = array.reshape(heads, array.shape[0] // heads // 2, 2, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def _is_near(read: Floats, wanted: Floats, kind: str) -> bool:
    if read.shape != wanted.shape or not np.isfinite(read).all():
        return False
    scale = np.abs(wanted)
    if kind == "Q8_0":
        blocks = scale.reshape(-1, BLOCK)
        scale = np.broadcast_to(blocks.max(axis=1, keepdims=True), blocks.shape)
        scale = scale.reshape(wanted.shape)
    return bool((np.abs(read - wanted) <= RELATIVE[kind] * scale + SMALLEST_STEP).all())
