"""Adapters on disk in mlx-lm's format: `adapters.safetensors` and `adapter_config.json`.

What is written here gives the same logits through `mlx_lm.load(..., adapter_path=...)`; what is
read must match tensor by tensor, since mlx-lm's own format has no alpha, only `scale`. Of models
that see, mlx-vlm loads the same two files: their `keys` are whole module paths, which mlx-lm
takes as well.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import mlx.core as mx
import mlx.nn as nn
from pydantic import BaseModel, ConfigDict, ValidationError

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
from OnPolicyDistill.models.weight_files import check_whole, fingerprint_files, read_json

WEIGHTS_FILE = "adapters.safetensors"
CONFIG_FILE = "adapter_config.json"


class LoraParameters(BaseModel):
    """mlx-lm's `lora_parameters`; `keys` are module paths, in a layer or whole, None means all."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    rank: int
    scale: float
    dropout: float = 0.0
    keys: tuple[str, ...] | None = None


class AdapterConfig(BaseModel):
    """What `adapter_config.json` must say; mlx-lm's trainer writes much more, which is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    fine_tune_type: Literal["lora"] = "lora"
    num_layers: int
    lora_parameters: LoraParameters
    model: str | None = None


def save_adapter(folder: Path, model: nn.Module, adapter: AttachedAdapter, base_name: str) -> None:
    """Write a model's adapter; `base_name` tells people which model it belongs to."""
    keys = tuple(adapter_layers(model)) if isinstance(model, SeeingModel) else adapter.keys
    parameters = LoraParameters(
        rank=adapter.rank, scale=adapter.scale, dropout=adapter.dropout, keys=keys
    )
    config = AdapterConfig(
        num_layers=adapter.num_layers, lora_parameters=parameters, model=base_name
    )
    mx.save_safetensors(str(folder / WEIGHTS_FILE), adapter_parameters(model))
    text = json.dumps(config.model_dump(mode="json"), indent=2, sort_keys=True)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Read and check an adapter's config.

    Raises:
        ModelError: missing, broken, or of another kind than LoRA.
    """
    if not folder.is_dir():
        raise ModelError(f"There is no adapter folder {folder}.", "Check the path.")
    values = read_json(folder / CONFIG_FILE)
    kind = values.get("fine_tune_type", "lora")
    if kind != "lora":
        raise ModelError(
            f"The adapter in {folder} is of the kind {kind!r}; only LoRA adapters can be used.",
            "Fuse it into its base model with mlx_lm.fuse and use the result.",
        )
    try:
        return AdapterConfig.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(map(str, problem["loc"]))
        raise ModelError(
            f"{folder / CONFIG_FILE}: {field}: {problem['msg']}.",
            "It must be an adapter in mlx-lm's format.",
        ) from error


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
    mark = fingerprint_files(folder / CONFIG_FILE, folder / WEIGHTS_FILE)
    return replace(policy, fingerprint=f"{policy.fingerprint}+{mark}"), adapter


def read_adapter_weights(folder: Path) -> dict[str, mx.array]:
    """Read an adapter's tensors by name.

    Raises:
        ModelError: the file is missing or damaged.
    """
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise ModelError(f"The adapter folder {folder} has no {WEIGHTS_FILE}.", "Check the path.")
    check_whole(file)
    loaded = mx.load(str(file))
    assert isinstance(loaded, dict)
    mx.eval(loaded)
    return loaded


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
