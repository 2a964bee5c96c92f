"""Adapters on disk, written in mlx-lm's format and read in that or in PEFT's.

What is written here gives the same logits through `mlx_lm.load(..., adapter_path=...)`; what is
read must match tensor by tensor, since mlx-lm's own format has no alpha, only `scale`. Of models
that see, mlx-vlm loads the same two files: their `keys` are whole module paths, which mlx-lm
takes as well.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.adapters.lora import (
    AttachedAdapter,
    adapter_layers,
    adapter_parameters,
    attach_keys,
    detach_adapter,
    linear_layer_names,
)
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.models.weight_files import fingerprint_files
from OnPolicyDistill.planning.saved_adapters import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    AdapterConfig,
    LoraParameters,
    adapter_form,
    adapter_weights_file,
    peft_module,
    read_adapter_config,
)
from OnPolicyDistill.planning.weights import check_whole


def save_adapter(folder: Path, model: nn.Module, adapter: AttachedAdapter, base_name: str) -> None:
    """Write a model's adapter; `base_name` tells people which model it belongs to."""
    keys = tuple(adapter_layers(model)) if isinstance(model, SeeingModel) else adapter.keys
    parameters = LoraParameters(
        rank=adapter.rank, scale=adapter.scale, dropout=adapter.dropout, keys=keys
    )
    config = AdapterConfig(
        num_layers=adapter.num_layers, lora_parameters=parameters, model=base_name
    )
    _write(folder, config, adapter_parameters(model))


def copy_adapter(source: Path, folder: Path) -> None:
    """Copy an adapter's two files, in mlx-lm's format whatever the source has.

    Raises:
        ModelError: the source is no LoRA adapter, or damaged.
    """
    config, weights = read_adapter_config(source), read_adapter_weights(source)
    if adapter_form(source) == "peft":
        _write(folder, config, weights)
        return
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        shutil.copyfile(source / name, folder / name)


def _write(folder: Path, config: AdapterConfig, weights: dict[str, mx.array]) -> None:
    mx.save_safetensors(str(folder / WEIGHTS_FILE), weights)
    text = json.dumps(config.model_dump(mode="json"), indent=2, sort_keys=True)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def load_adapter(policy: Policy, folder: Path) -> tuple[Policy, AttachedAdapter]:
    """Put a saved adapter on a policy, ready to be used or trained further.

    The model is changed in place; the returned policy has a fingerprint that knows the adapter.

    Raises:
        ModelError: the adapter cannot be read or does not fit, tensor by tensor; the model is
            then left as it was.
    """
    config = read_adapter_config(folder)
    weights = read_adapter_weights(folder)
    lora = config.lora_parameters
    keys = linear_layer_names(policy.model) if lora.keys is None else lora.keys
    adapter = attach_keys(
        policy.model, keys, config.num_layers, lora.rank, lora.scale, lora.dropout
    )
    try:
        fill_adapter(policy.model, weights, folder)
    except ModelError:
        detach_adapter(policy.model)
        raise
    policy.model.eval()
    return replace(policy, fingerprint=f"{policy.fingerprint}{adapter_mark(folder)}"), adapter


def adapter_mark(folder: Path) -> str:
    """What an adapter adds to the fingerprint of the policy that wears it."""
    return "+" + fingerprint_files(folder / CONFIG_FILE, adapter_weights_file(folder))


def read_adapter_weights(folder: Path) -> dict[str, mx.array]:
    """Read an adapter's tensors by our name, whatever form it is in.

    Raises:
        ModelError: the file is missing or damaged, or a number in it is none.
    """
    file = adapter_weights_file(folder)
    check_whole(file)
    loaded = mx.load(str(file))
    assert isinstance(loaded, dict)
    if adapter_form(folder) == "peft":
        loaded = _renamed(loaded)
    mx.eval(loaded)
    broken = [name for name, array in loaded.items() if not mx.all(mx.isfinite(array)).item()]
    if broken:
        raise ModelError(
            f"{file} is broken: {len(broken)} of its {len(loaded)} tensors hold numbers that are "
            f"not finite, first {broken[0]}.",
            "Use an earlier checkpoint; a run that ends so had too high a learning_rate.",
        )
    return loaded


def _renamed(tensors: dict[str, mx.array]) -> dict[str, mx.array]:
    """PEFT's A (rank, in) and B (out, rank) under our names, as A (in, rank) and B (rank, out)."""
    ours: dict[str, mx.array] = {}
    for name, array in tensors.items():
        found = peft_module(name)
        if found is not None:
            ours[".".join(found)] = mx.contiguous(array.T)
    return ours


def fill_adapter(model: nn.Module, weights: dict[str, mx.array], source: Path) -> None:
    """Put tensors into a model's adapter layers, every one of them and no other.

    Raises:
        ModelError: names or shapes differ.
    """
    expected = {name: array.shape for name, array in adapter_parameters(model).items()}
    missing = sorted(expected.keys() - weights.keys())
    unknown = sorted(weights.keys() - expected.keys())
    if missing or unknown:
        name = (missing or unknown)[0]
        raise ModelError(
            f"The adapter {source} does not fit this model: {len(missing)} tensors are missing "
            f"and {len(unknown)} have no place, first {name}.",
            "Use the base model that the adapter was trained on.",
        )
    for name, shape in expected.items():
        if weights[name].shape != shape:
            raise ModelError(
                f"The adapter {source} does not fit this model: {name} has the shape "
                f"{weights[name].shape}, and {shape} is needed (rank and layer widths).",
                "Use the base model and the rank that the adapter was trained with.",
            )
    model.load_weights([(name, weights[name]) for name in expected], strict=False)
    mx.eval(model.trainable_parameters())
