"""Grafted folders: written whole from parts, with a card, and folded.

Weights are copied as they are stored, byte by byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np

from OnPolicyDistill.adapters.graft_parts import LAST_MAP, Parts, array_of, parts_of_grafted
from OnPolicyDistill.adapters.graft_sources import PREPROCESSOR_FILE
from OnPolicyDistill.errors import DiskFullError, ModelError
from OnPolicyDistill.files import sync_whole, whole_folder
from OnPolicyDistill.models.grafted import LANGUAGE, PROJECTOR, TOWER, lay_out, write_config
from OnPolicyDistill.models.parameters import arrays_of
from OnPolicyDistill.models.projector import Projector
from OnPolicyDistill.models.saving import MAX_FILE_GB, copy_settings
from OnPolicyDistill.models.tensor_files import MadeTensor, Tensor, in_files, write_tensors
from OnPolicyDistill.planning.weights import INDEX_FILE

Progress = Callable[[str, int, int], None]

SPARE_BYTES = 200_000_000


def write_grafted(
    parts: Parts, projector: Projector | None, target: Path, progress: Progress
) -> None:
    """Write a grafted folder that is there whole or not at all; `progress` counts bytes.

    Raises:
        InputError: the target exists.
        DiskFullError: the disk has no room for it, said before anything is written.
        ModelError: the weights do not fit the settings they came with.
    """
    tensors = {**parts.tensors, **projector_tensors(projector)}
    refuse_misfits(parts, tensors)
    _refuse_full_disk(target, tensors)
    with whole_folder(target) as folder:
        copy_settings(parts.settings, folder, with_config=False)
        values = {**write_config(parts.config), **parts.tokens}
        values["grafted_from"] = {
            "vision": parts.vision,
            "language": parts.language,
            "training": parts.training,
        }
        _write_json(folder / "config.json", values)
        _write_json(folder / PREPROCESSOR_FILE, parts.preprocessor)
        weight_map: dict[str, str] = {}
        for part in (TOWER, LANGUAGE, PROJECTOR):
            own = {name: each for name, each in tensors.items() if name.startswith(f"{part}.")}
            weight_map |= _write_part(folder, part, own, progress)
        total = sum(each.num_bytes for each in tensors.values())
        index = {"metadata": {"total_size": total}, "weight_map": weight_map}
        _write_json(folder / INDEX_FILE, index)
        (folder / "README.md").write_text(card(parts, target.name), encoding="utf-8")


def fold(folder: Path, target: Path, progress: Progress) -> None:
    """Write a grafted folder whose linear projector is folded into the merger's last layer.

    W_p (W_m x + b_m) = (W_p W_m) x + W_p b_m, computed and kept in float32: the same model, without
    a projector. The folder is not changed.

    Raises:
        ModelError: the projector is no linear one.
        InputError: the target exists.
    """
    parts, stored = parts_of_grafted(folder)
    if parts.config.kind != "linear":
        raise ModelError(
            f"The projector in {folder} is {parts.config.kind}; only a linear one can be folded.",
            "A GELU between two layers has no place in the merger.",
        )
    opened: dict[Path, dict[str, mx.array]] = {}
    (projector,) = (array_of(tensor, opened) for tensor in stored.values())
    names = (f"{LAST_MAP}.weight", f"{LAST_MAP}.bias")
    weight, bias = (array_of(parts.tensors[name], opened).astype(mx.float32) for name in names)
    made = {names[0]: made_tensor(projector @ weight), names[1]: made_tensor(projector @ bias)}
    vision = {**parts.config.vision, "out_hidden_size": parts.config.output_size}
    config = replace(parts.config, vision=vision, kind="folded")
    folded = replace(parts, config=config, tensors={**parts.tensors, **made})
    write_grafted(folded, None, target, progress)


def made_tensor(array: mx.array) -> MadeTensor:
    """An array's bytes in float32."""
    data = np.array(array.astype(mx.float32))
    return MadeTensor("F32", data.shape, data.tobytes())


def projector_tensors(projector: Projector | None) -> dict[str, Tensor]:
    """A projector's weights under the names of the grafted model; none where it was folded."""
    arrays = {} if projector is None else arrays_of(projector)
    return {f"{PROJECTOR}.{name}": made_tensor(array) for name, array in arrays.items()}


def card(parts: Parts, name: str) -> str:
    """The README.md of a grafted folder."""
    return f"""---
library_name: mlx
pipeline_tag: image-text-to-text
tags: [mlx, vision-adapter-surgery]
---

# {name}

The vision tower of {parts.vision}, a projector ({parts.config.kind}), and {parts.language}, put
together by OnPolicyDistill. Tower and language model are as they were published, and their
licences apply.

**Only OnPolicyDistill loads this folder.** No class of mlx-lm, mlx-vlm or transformers has this
tower with this language model, so LM Studio, Ollama and others cannot open it.

{parts.training}
"""


def refuse_misfits(parts: Parts, tensors: Mapping[str, Tensor]) -> None:
    """Compare names and shapes of all weights with what a model of these settings has."""
    model = lay_out(parts.config, parts.sight, tensors)
    expected = {name: array.shape for name, array in arrays_of(model).items()}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ModelError(
                f"The weights do not fit their config.json: {name} is {found.get(name)}, and "
                f"{expected.get(name)} is needed.",
                "Download both models again; config and weights must be of one model.",
            )


def _refuse_full_disk(target: Path, tensors: Mapping[str, Tensor]) -> None:
    needed = sum(tensor.num_bytes for tensor in tensors.values()) + SPARE_BYTES
    existing = next(path for path in target.absolute().parents if path.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DiskFullError(
            f"The grafted model takes {needed / 1e9:.1f} GB, and {existing} has "
            f"{free / 1e9:.1f} GB free.",
            "Free some space, or give a folder on another disk.",
        )


def _write_part(
    folder: Path, part: str, tensors: Mapping[str, Tensor], progress: Progress
) -> dict[str, str]:
    """Write one part in files of a few GB; returns which file each tensor is in."""
    shards = in_files(tensors, MAX_FILE_GB * 10**9) if tensors else []
    total = sum(tensor.num_bytes for tensor in tensors.values())
    weight_map: dict[str, str] = {}
    done = 0
    for number, shard in enumerate(shards, start=1):
        progress(part, done, total)
        of_several = f"-{number:05d}-of-{len(shards):05d}" if len(shards) > 1 else ""
        file = folder / f"model-{part}{of_several}.safetensors"
        write_tensors(file, shard)
        sync_whole(file)
        done += sum(tensor.num_bytes for tensor in shard.values())
        weight_map |= dict.fromkeys(shard, file.name)
    progress(part, done, total)
    return weight_map


def _write_json(file: Path, values: Mapping[str, object]) -> None:
    file.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
