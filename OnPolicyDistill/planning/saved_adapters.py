"""Adapters on disk, as far as their config and the header of their weights tell.

mlx-lm's form is `adapters.safetensors` with `adapter_config.json`; the config's `lora_parameters`
have a rank, a scale and module paths. PEFT's, which Unsloth, axolotl and TRL write too, is
`adapter_model.safetensors` with a config that has `peft_type`. It is read as if it were
mlx-lm's: `lora_alpha / r` is the scale (`lora_alpha / sqrt(r)` with rslora), and the keys are the
module paths of its tensors. What of PEFT's has no counterpart is refused in words.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.files import read_model_file
from OnPolicyDistill.planning.weights import StoredTensor, read_header

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapters.safetensors"
PEFT_WEIGHTS_FILE = "adapter_model.safetensors"
# PEFT's names of the two halves, and what stands before a module's path.
PEFT_HALVES = {"lora_A.weight": "lora_a", "lora_B.weight": "lora_b"}
PEFT_PREFIX = "base_model.model."

Form = Literal["mlx-lm", "peft"]
Settings = TypeVar("Settings", bound=BaseModel)


class LoraParameters(BaseModel):
    """mlx-lm's `lora_parameters`; `keys` are module paths, in a layer or whole, None means all."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    rank: int = Field(ge=1)
    scale: float = Field(allow_inf_nan=False)
    dropout: float = Field(0.0, ge=0, lt=1)
    keys: tuple[str, ...] | None = None


class AdapterConfig(BaseModel):
    """What `adapter_config.json` must say; mlx-lm's trainer writes much more, which is ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    fine_tune_type: Literal["lora"] = "lora"
    num_layers: int
    lora_parameters: LoraParameters
    model: str | None = None


class PeftLora(BaseModel):
    """What counts of PEFT's `LoraConfig`; much more stands there, which changes nothing."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    peft_type: str
    r: int = Field(ge=1)
    lora_alpha: float = Field(allow_inf_nan=False)
    lora_dropout: float = Field(0.0, ge=0, lt=1)
    base_model_name_or_path: str | None = None
    bias: str = "none"
    use_rslora: bool = False
    use_dora: bool = False
    fan_in_fan_out: bool = False
    modules_to_save: tuple[str, ...] | None = None
    rank_pattern: dict[str, int] = Field(default_factory=dict)
    alpha_pattern: dict[str, float] = Field(default_factory=dict)

    @property
    def obstacle(self) -> str | None:
        """What of it mlx-lm's form cannot say; None where nothing stands against it."""
        facts = {
            f"it is of the type {self.peft_type}": self.peft_type != "LORA",
            "it uses DoRA": self.use_dora,
            "it trains biases": self.bias != "none",
            "it holds whole modules beside the adapter": bool(self.modules_to_save),
            "its ranks differ from layer to layer": bool(self.rank_pattern or self.alpha_pattern),
            "its matrices are stored the other way round": self.fan_in_fan_out,
        }
        return next((fact for fact, holds in facts.items() if holds), None)


def adapter_form(folder: Path) -> Form:
    """Tell mlx-lm's form and PEFT's apart, by the config and the name of the weights.

    Raises:
        ModelError: there is no such folder, or a file is missing or broken.
    """
    return "peft" if "peft_type" in _config_values(folder) else "mlx-lm"


def adapter_weights_file(folder: Path) -> Path:
    """The file that holds an adapter's tensors.

    Raises:
        ModelError: it or the config is missing, or the config is broken.
    """
    name = PEFT_WEIGHTS_FILE if adapter_form(folder) == "peft" else WEIGHTS_FILE
    file = folder / name
    if not file.is_file():
        raise ModelError(f"The adapter folder {folder} has no {name}.", "Check the path.")
    return file


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Read and check an adapter's config, and that its tensors have the rank it names.

    Raises:
        ModelError: missing, broken, of another kind than LoRA, or unlike the tensors.
    """
    values = _config_values(folder)
    file = adapter_weights_file(folder)
    if "peft_type" in values:
        return _from_peft(_validated(PeftLora, values, folder), read_header(file), folder)
    kind = values.get("fine_tune_type", "lora")
    if kind != "lora":
        raise ModelError(
            f"The adapter in {folder} is of the kind {kind!r}; only LoRA adapters can be used.",
            "Fuse it into its base model with mlx_lm.fuse and use the result.",
        )
    config = _validated(AdapterConfig, values, folder)
    _refuse_other_rank(config.lora_parameters.rank, read_header(file), folder)
    return config


def peft_module(name: str) -> tuple[str, str] | None:
    """Module path and half (`lora_a`, `lora_b`) of a tensor of PEFT's; None for any other.

    Older files have the adapter's name before `weight`: `...q_proj.lora_A.default.weight`.
    """
    plain = name.replace(".default.weight", ".weight")
    for ending, half in PEFT_HALVES.items():
        if plain.startswith(PEFT_PREFIX) and plain.endswith(f".{ending}"):
            return plain[len(PEFT_PREFIX) : -len(ending) - 1], half
    return None


def _from_peft(config: PeftLora, tensors: dict[str, StoredTensor], folder: Path) -> AdapterConfig:
    unknown = next((name for name in tensors if peft_module(name) is None), None)
    obstacle = config.obstacle or (f"it holds {unknown}" if unknown is not None else None)
    if obstacle is not None:
        raise ModelError(
            f"The PEFT adapter in {folder} cannot be used as it is: {obstacle}.",
            "Merge it into its base model with PEFT's merge_and_unload and use the result.",
        )
    _refuse_other_rank(config.r, tensors, folder)
    scale = config.lora_alpha / (math.sqrt(config.r) if config.use_rslora else config.r)
    modules = {module for name in tensors if (found := peft_module(name)) for module in found[:1]}
    lora = LoraParameters(
        rank=config.r, scale=scale, dropout=config.lora_dropout, keys=tuple(sorted(modules))
    )
    return AdapterConfig(num_layers=-1, lora_parameters=lora, model=config.base_model_name_or_path)


def _refuse_other_rank(rank: int, tensors: dict[str, StoredTensor], folder: Path) -> None:
    other = next((name for name, found in tensors.items() if rank not in found.shape), None)
    if other is not None:
        raise ModelError(
            f"{folder / CONFIG_FILE} names the rank {rank}, and {other} has the shape "
            f"{tensors[other].shape}.",
            "Put back the two files that were written together.",
        )


def _config_values(folder: Path) -> dict[str, object]:
    if not folder.is_dir():
        raise ModelError(f"There is no adapter folder {folder}.", "Check the path.")
    file = folder / CONFIG_FILE
    try:
        values = json.loads(read_model_file(file))
    except FileNotFoundError:
        raise ModelError(
            f"The adapter folder {folder} has no {CONFIG_FILE}.",
            "It is written beside the adapter's weights; copy it from there, or give the folder "
            "of a checkpoint.",
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{file} cannot be read as JSON ({error}).", "Copy it from the checkpoint again."
        ) from error
    if not isinstance(values, dict):
        raise ModelError(f"{file} holds no JSON object.", "Copy it from the checkpoint again.")
    return values


def _validated(kind: type[Settings], values: dict[str, object], folder: Path) -> Settings:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(map(str, problem["loc"]))
        raise ModelError(
            f"{folder / CONFIG_FILE}: {field}: {problem['msg']}.",
            "It must be an adapter in the form of mlx-lm or of PEFT.",
        ) from error
