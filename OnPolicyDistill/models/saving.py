"""Writing a model folder that this project and mlx-lm load: weights in shards, settings beside."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.utils import make_shards

from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.planning.weights import INDEX_FILE, stored_files

MAX_FILE_GB = 5
# Everything beside config.json that tokenizer, template and generation settings consist of.
SETTINGS_FILES = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "preprocessor_config.json",
    "video_preprocessor_config.json",
    "processor_config.json",
)


def save_weights(folder: Path, model: nn.Module) -> None:
    """Write all weights of a model; it keeps them, where mlx-lm's own `save` empties it."""
    save_tensors(folder, flat_arrays(model.parameters()))


def _nothing() -> None:
    pass


def save_tensors(
    folder: Path, tensors: dict[str, mx.array], before_each: Callable[[], None] = _nothing
) -> None:
    """Write tensors in their order, in files of at most 5 GB, with an index where several.

    `before_each` file may raise StoppedError. A checkpoint asks nobody: it is what a stop saves.
    """
    shards = make_shards(tensors, MAX_FILE_GB)
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        before_each()
        name = f"model-{number:05d}-of-{len(shards):05d}" if len(shards) > 1 else "model"
        mx.save_safetensors(str(folder / f"{name}.safetensors"), shard, {"format": "mlx"})
        weight_map |= dict.fromkeys(shard, f"{name}.safetensors")
    if len(shards) > 1:
        total = sum(array.nbytes for array in tensors.values())
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        (folder / INDEX_FILE).write_text(json.dumps(index, indent=2), encoding="utf-8")


def load_weights(folder: Path, model: nn.Module) -> None:
    """Put a folder's weights into a model of the same parameters.

    Raises:
        ModelError: a file is missing or damaged.
    """
    tensors: dict[str, mx.array] = {}
    for file in stored_files(folder):
        loaded = mx.load(str(file))
        assert isinstance(loaded, dict)
        tensors |= loaded
    model.load_weights(list(tensors.items()))
    mx.eval(model.parameters())


def copy_settings(source: Path, target: Path, with_config: bool = True) -> None:
    """Copy tokenizer, template and settings of a model folder; `config.json` where wanted."""
    for name in (*SETTINGS_FILES, *(("config.json",) if with_config else ())):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
