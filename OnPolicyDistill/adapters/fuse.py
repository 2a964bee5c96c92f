"""Folding an adapter into its base model's weights: W + (alpha / rank) (A B) transposed.

A quantized layer is dequantized, fused and quantized again with its own settings, which rounds
the update: the fused model is not exactly the trained one, so evaluate what is exported. With
`dequantize` the result is exact up to the stored type, and larger.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.mla import QuantizedMultiLinear
from mlx_lm.models.switch_layers import QuantizedSwitchLinear

from OnPolicyDistill.adapters.lora import adapter_layers
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.saving import copy_settings, save_tensors
from OnPolicyDistill.models.vision_config import is_vision_config, mlx_config
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.stopping import check_stop

Progress = Callable[[str, int, int], None]

PACKED = (
    nn.QuantizedLinear,
    nn.QuantizedEmbedding,
    QuantizedSwitchLinear,
    QuantizedMultiLinear,  # a map for each head, in latent attention
)


def fuse(policy: Policy, folder: Path, dequantize: bool, progress: Progress) -> None:
    """Write a policy with its adapter folded in as a model folder of its own.

    The live model and its adapter stay as they are. `progress` hears what is done, how far, and
    of how many.

    Raises:
        ModelError: the policy has no adapter.
    """
    tensors = fused_tensors(policy.model, dequantize, progress)
    progress("writing weights", 0, 1)
    save_tensors(folder, tensors, before_each=check_stop)
    config = read_json(policy.path / "config.json")
    if is_vision_config(config):
        config = mlx_config(config)  # what mlx-vlm reads, whoever wrote the base model's
    if dequantize:
        config.pop("quantization", None)
        config.pop("quantization_config", None)
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    copy_settings(policy.path, folder, with_config=False)
    progress("writing weights", 1, 1)


def fused_tensors(model: nn.Module, dequantize: bool, progress: Progress) -> dict[str, mx.array]:
    """Every weight of the fused model by name, sorted; a fused tensor exists when it is written.

    Raises:
        ModelError: the model has no adapter.
    """
    layers = adapter_layers(model)
    if not layers:
        raise ModelError("There is no adapter to fuse.", "Load one with --adapter.")
    tensors = flat_arrays(model.parameters())
    for done, (name, layer) in enumerate(layers.items(), start=1):
        check_stop()
        tensors = {key: value for key, value in tensors.items() if not key.startswith(f"{name}.")}
        fused = flat_arrays(layer.fuse(dequantize=dequantize).parameters())
        tensors |= {f"{name}.{leaf}": array for leaf, array in fused.items()}
        progress("fusing layers", done, len(layers))
    if dequantize:
        tensors = _dequantized(model, tensors, skip=frozenset(layers))
    return dict(sorted(tensors.items()))


def _dequantized(
    model: nn.Module, tensors: dict[str, mx.array], skip: frozenset[str]
) -> dict[str, mx.array]:
    """Unpack the layers that had no adapter; those that had one are unpacked already."""
    result = dict(tensors)
    named: list[tuple[str, nn.Module]] = model.named_modules()
    for name, module in named:
        if not isinstance(module, PACKED) or name.removesuffix(".linear") in skip:
            continue
        packed = {leaf: result.pop(f"{name}.{leaf}", None) for leaf in ("scales", "biases")}
        weight, scales = result[f"{name}.weight"], packed["scales"]
        assert scales is not None
        result[f"{name}.weight"] = mx.dequantize(
            weight,
            scales,
            packed["biases"],
            group_size=module.group_size,
            bits=module.bits,
            mode=module.mode,
        )
    return result
