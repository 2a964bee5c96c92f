"""An adapter in PEFT's form, for transformers and whatever else reads it.

mlx-lm computes y = W x + scale * (x A) B with A (in, rank) and B (rank, out); PEFT computes
y = W x + lora_alpha / r * B (A x) with A (rank, in) and B (out, rank). So both matrices are
transposed, lora_alpha is scale * rank, and nothing is rounded. The names of layers are the same
(forms.peft_obstacle says where not).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import mlx.core as mx
from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.adapters.files import read_adapter_weights
from OnPolicyDistill.adapters.forms import parse_layer, peft_obstacle
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.saved_adapters import (
    CONFIG_FILE,
    PEFT_PREFIX,
    PEFT_WEIGHTS_FILE,
    WEIGHTS_FILE,
    AdapterConfig,
    read_adapter_config,
)

HALVES = {"lora_a": "lora_A.weight", "lora_b": "lora_B.weight"}


class PeftConfig(BaseModel):
    """`adapter_config.json` as `peft.LoraConfig` reads it; what is left out has its default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    peft_type: str = "LORA"
    task_type: str = "CAUSAL_LM"
    base_model_name_or_path: str
    r: int
    lora_alpha: int | float
    lora_dropout: float
    bias: str = "none"
    fan_in_fan_out: bool = False
    use_rslora: bool = False
    inference_mode: bool = True
    target_modules: tuple[str, ...]
    layers_to_transform: tuple[int, ...] | None = None
    layers_pattern: str | None = None


def peft_config(config: AdapterConfig, modules: Iterable[str], base_model: str) -> PeftConfig:
    """Describe an adapter on these modules to PEFT.

    Where not all layers have it, PEFT is told which ones. A layer without one of the targets is
    left alone by PEFT as it is by us.
    """
    layers = [layer for layer in map(parse_layer, modules) if layer is not None]
    numbers = tuple(sorted({layer.number for layer in layers}))
    is_everywhere = config.num_layers <= 0
    lora = config.lora_parameters
    alpha = lora.scale * lora.rank
    return PeftConfig(
        base_model_name_or_path=base_model,
        r=lora.rank,
        lora_alpha=int(alpha) if alpha.is_integer() else alpha,
        lora_dropout=lora.dropout,
        target_modules=tuple(sorted({layer.key for layer in layers})),
        layers_to_transform=None if is_everywhere else numbers,
        layers_pattern=None if is_everywhere else "layers",
    )


def write_peft(source: Path, folder: Path, base_model: str, base: Path | None) -> None:
    """Write an adapter of ours as PEFT's two files.

    `base_model` is the name under which transformers finds the model; `base` is its folder, where
    it is on this machine.

    Raises:
        ModelError: the source is no LoRA adapter, or PEFT cannot express it.
    """
    config = read_adapter_config(source)
    obstacle = peft_obstacle(source / WEIGHTS_FILE, base)
    if obstacle is not None:
        raise ModelError(obstacle, "Export it as an adapter for mlx-lm, or fused.")
    tensors = read_adapter_weights(source)
    modules = sorted({name.rpartition(".")[0] for name in tensors})
    described = peft_config(config, modules, base_model).model_dump_json(indent=2)
    (folder / CONFIG_FILE).write_text(described + "\n", encoding="utf-8")
    renamed = {peft_name(name): mx.contiguous(array.T) for name, array in tensors.items()}
    mx.save_safetensors(str(folder / PEFT_WEIGHTS_FILE), renamed, {"format": "pt"})


def peft_name(tensor: str) -> str:
    """PEFT's name for a tensor of ours: `...q_proj.lora_a` -> `...q_proj.lora_A.weight`."""
    module, _, half = tensor.rpartition(".")
    return f"{PEFT_PREFIX}{module}.{HALVES[half]}"
