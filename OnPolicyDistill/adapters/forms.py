"""The forms a student can leave in, and which models each is possible for; loads no model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.weights import read_header, read_tensors

ExportForm = Literal["adapter", "peft", "fused", "quantized", "gguf"]
# How a GGUF file stores weights, by ggml's names.
GgufType = Literal["f16", "bf16", "q8_0"]
# Forms that are written from the adapter's files alone.
LIGHT_FORMS: tuple[ExportForm, ...] = ("adapter", "peft")
GROUP_SIZES = (32, 64, 128)
GRAFT_OBSTACLE = "Only this program loads a grafted model, and only whole: write it as fused."

_LAYER = re.compile(r"(?P<body>[\w.]*layers)\.(?P<number>\d+)\.(?P<key>[\w.]+)")
# Text models of transformers keep their layers here; wrapped ones are named otherwise there.
_BODY = "model.layers"
_USUAL = re.compile(r"(self_attn|mlp)\.\w+")
_ROUTER = re.compile(r"(^|\.)(gate|router)$")


@dataclass(frozen=True, slots=True)
class AdaptedLayer:
    """Where a linear layer with an adapter is: a list of layers, its number, its path there."""

    body: str
    number: int
    key: str


def parse_layer(module: str) -> AdaptedLayer | None:
    """Read a module's path (`model.layers.3.self_attn.q_proj`); None where it is in no layer."""
    found = _LAYER.fullmatch(module)
    if found is None:
        return None
    return AdaptedLayer(found["body"], int(found["number"]), found["key"])


def inner_paths(keys: Iterable[str]) -> list[str]:
    """Paths inside a layer, each once, of an adapter's keys, which may be whole paths."""
    layers = ((key, parse_layer(key)) for key in keys)
    return list(dict.fromkeys(key if layer is None else layer.key for key, layer in layers))


def peft_obstacle(weights: Path, base: Path | None) -> str | None:
    """Say why PEFT cannot express an adapter, given by its weights' file, or None when it can.

    PEFT finds layers by transformers' names. mlx-lm loads transformers' checkpoints, and its names
    are the same unless it changes them while it loads: where the model is on this machine, at
    `base`, the names in its files decide.

    Raises:
        ModelError: a file is missing or damaged.
    """
    if not weights.is_file():
        raise ModelError(f"There is no {weights}.", "Check the path.")
    shapes = {name: tensor.shape for name, tensor in read_header(weights).items()}
    stacked = next((name for name, shape in shapes.items() if len(shape) != 2), None)
    if stacked is not None:
        return (
            f"It adapts stacked experts ({stacked.rpartition('.')[0]}), many matrices in one, and "
            "PEFT adapts one linear layer at a time."
        )
    known = None if base is None else frozenset(read_tensors(base))
    modules = sorted({name.rpartition(".")[0] for name in shapes})
    return next(filter(None, (_obstacle_of(module, known) for module in modules)), None)


def _obstacle_of(module: str, known: frozenset[str] | None) -> str | None:
    layer = parse_layer(module)
    if layer is None or layer.body != _BODY:
        return f"transformers has another name for {module}, so PEFT would not find it."
    if _ROUTER.search(layer.key):
        return f"{module} chooses experts; transformers has no linear layer there for PEFT."
    if known is not None and f"{module}.weight" not in known:
        return f"The model's own files have no {module}.weight, so PEFT would not find it."
    if known is None and not _USUAL.fullmatch(layer.key):
        return f"Whether transformers has a {module} shows in the model; download it first."
    return None
