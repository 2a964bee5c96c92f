"""The projector of a grafted model: from what a vision tower says to what words are.

It computes in float32, since a step of 1e-5 would leave most of its weights as they are in bf16.

Letters: P places of a picture, C width of the merger's output, D width of the language model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.parameters import arrays_of
from OnPolicyDistill.planning.weights import check_whole

PROJECTOR_FILE, PROJECTOR_CONFIG_FILE = "projector.safetensors", "projector_config.json"

ProjectorKind = Literal["linear", "mlp"]


class Projector(nn.Module):
    """Maps what the merger says of a place (P, C) to the width of a language model (P, D).

    `linear` is one matrix without a bias; `mlp` two with biases and a GELU between them.
    """

    def __init__(self, kind: ProjectorKind, input_size: int, output_size: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # MLX's is untyped
        self.maps = [nn.Linear(input_size, output_size, bias=kind == "mlp")]
        if kind == "mlp":
            self.maps.append(nn.Linear(output_size, output_size))

    def __call__(self, features: mx.array) -> mx.array:
        """Float32, whatever type the features have."""
        projected: mx.array = self.maps[0](features.astype(mx.float32))
        for each in self.maps[1:]:
            projected = each(nn.gelu(projected))
        return projected


def fresh_projector(kind: ProjectorKind, sizes: tuple[int, int], seed: int) -> Projector:
    """A projector whose weights follow from the seed alone; `sizes` are C and D.

    Uniform in +-1 / sqrt(input width), MLX's own initial weights of a linear layer.
    """
    projector = Projector(kind, *sizes)
    parameters = arrays_of(projector)
    keys = mx.random.split(mx.random.key(seed), len(parameters))
    drawn = []
    for (name, array), key in zip(parameters.items(), keys, strict=True):
        width = projector.maps[int(name.split(".")[1])].weight.shape[1]
        bound = 1 / math.sqrt(width)
        drawn.append((name, mx.random.uniform(-bound, bound, array.shape, key=key)))
    projector.load_weights(drawn)
    mx.eval(arrays_of(projector))
    return projector


def match_embeddings(projector: Projector, features: mx.array, embeddings: mx.array) -> float:
    """Scale what a projector says of some places to be as long as words are; returns the factor.

    features (P, C) are what a tower says of pictures, embeddings (V, D) the words' table. The mean
    lengths are equal afterwards. A fresh projector's are not: too long, and places drown the words
    in attention; too short, and it learns for long before anything is seen.
    """
    projected = projector(features)
    wanted = mx.linalg.norm(embeddings.astype(mx.float32), axis=-1).mean()
    factor = wanted / mx.linalg.norm(projected, axis=-1).mean()
    last = projector.maps[-1]
    last.weight = last.weight * factor
    if "bias" in last:
        last.bias = last.bias * factor
    mx.eval(arrays_of(projector))
    return as_float(factor)


def save_projector(folder: Path, projector: Projector, sources: Mapping[str, str]) -> None:
    """Write a projector alone, with the names of the two models that it stands between."""
    mx.save_safetensors(str(folder / PROJECTOR_FILE), arrays_of(projector))
    first, last = projector.maps[0].weight, projector.maps[-1].weight
    values = {
        "kind": "linear" if len(projector.maps) == 1 else "mlp",
        "input_size": first.shape[1],
        "output_size": last.shape[0],
        **sources,
    }
    text = json.dumps(values, indent=2, sort_keys=True)
    (folder / PROJECTOR_CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def fill_projector(projector: Projector, folder: Path) -> None:
    """Put a saved projector's weights into one of its kind and sizes.

    Raises:
        ModelError: the file is missing, damaged, or of another projector.
    """
    file = folder / PROJECTOR_FILE
    if not file.is_file():
        raise ModelError(f"{folder} has no {PROJECTOR_FILE}.", "Give a checkpoint of a surgery.")
    check_whole(file)
    loaded = mx.load(str(file))
    assert isinstance(loaded, dict)
    expected = {name: array.shape for name, array in arrays_of(projector).items()}
    if {name: array.shape for name, array in loaded.items()} != expected:
        raise ModelError(
            f"The projector in {folder} is of another kind or other sizes.",
            "Use it between the two models that it was trained with.",
        )
    projector.load_weights(list(loaded.items()))
    mx.eval(arrays_of(projector))
