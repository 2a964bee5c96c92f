"""The linear maps of a model whose family is not known, read off the names and shapes in its files.

Names are those of the files. Where mlx-lm renames or splits what it loads, the trainer's own list
of the loaded model is the true one, and this one an estimate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from OnPolicyDistill.planning.targets import EXPERTS, Layers, LinearMap
from OnPolicyDistill.planning.weights import StoredTensor, read_tensors

IN_A_LAYER = re.compile(
    r"^(?P<model>|.*?\.)(?:layers|h|blocks)\.(?P<number>\d+)\.(?P<path>.+)\.weight$"
)
# Towers, and heads for several tokens at once, have layers of their own; mlx-lm trains neither.
OTHER_PARTS = re.compile(r"vision|visual|audio|mtp")
ONE_EXPERT = re.compile(rf"\b({'|'.join(sorted(EXPERTS))})\.\d+\.")
PACKED_WORD_BITS = 32


@dataclass(frozen=True, slots=True)
class _Found:
    """A matrix, or one of many, in a layer; `copies` is 1 where each expert has a tensor."""

    number: int
    path: str
    outputs: int
    inputs: int
    copies: int


def stored_layers(folder: Path, config: Mapping[str, object], num_layers: int) -> Layers:
    """List the linear maps of each layer, as far as matrices in the weight files show them.

    Raises:
        ModelError: the weight files are missing or damaged.
    """
    layers: list[dict[str, LinearMap]] = [{} for _ in range(num_layers)]
    for found in _matrices(read_tensors(folder), config):
        if found.number < num_layers:
            layer = layers[found.number]
            before = layer[found.path].copies if found.path in layer else 0
            copies = before + found.copies
            layer[found.path] = LinearMap(found.path, found.outputs, found.inputs, copies)
    return tuple(tuple(layer[path] for path in sorted(layer)) for layer in layers)


def _matrices(
    tensors: Mapping[str, StoredTensor], config: Mapping[str, object]
) -> Iterator[_Found]:
    for name, tensor in tensors.items():
        match = IN_A_LAYER.match(name)
        if match is None or OTHER_PARTS.search(match["model"]):
            continue
        path = ONE_EXPERT.sub(r"\1.", match["path"])
        is_stack = len(tensor.shape) == 3 and not EXPERTS.isdisjoint(path.split("."))
        if len(tensor.shape) != 2 and not is_stack:
            continue
        *copies, outputs, inputs = tensor.shape
        module = name.removesuffix(".weight")
        if f"{module}.scales" in tensors:
            inputs = inputs * PACKED_WORD_BITS // _bits(config, module)
        yield _Found(int(match["number"]), path, outputs, inputs, copies[0] if copies else 1)


def _bits(config: Mapping[str, object], module: str) -> int:
    """Bits of a packed weight; a module may have its own beside the model's."""
    settings = config.get("quantization")
    model = settings if isinstance(settings, dict) else {}
    own = model.get(module)
    bits = (own if isinstance(own, dict) else model).get("bits")
    return bits if isinstance(bits, int) and bits > 0 else PACKED_WORD_BITS
