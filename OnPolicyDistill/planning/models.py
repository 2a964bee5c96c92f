"""The facts about a model that a forecast needs: from its folder where it is on disk, else known.

Folders give exact bytes; the registry's dimensions give computed ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.files import read_model_file
from OnPolicyDistill.planning.dimensions import (
    Dimensions,
    body_weights,
    decoder_layers,
    head_weights,
    num_parameters,
    parse_dimensions,
    weight_bytes,
)
from OnPolicyDistill.planning.stored_layers import stored_layers
from OnPolicyDistill.planning.targets import Layers
from OnPolicyDistill.planning.weights import read_weights
from OnPolicyDistill.registry import (
    find_model,
    local_folder,
    lora_targets,
    propose_model,
)

FLOAT32_BYTES = 4


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model as a run will hold it; `source` says where the bytes come from.

    `layers` are the linear maps that an adapter could go on. `lora_targets` is the family's list,
    None for a family that the registry does not know.
    """

    name: str
    dimensions: Dimensions
    loaded_bytes: int
    source: Literal["disk", "registry"]
    folder: Path | None
    lora_targets: tuple[str, ...] | None
    layers: Layers

    @property
    def num_parameters(self) -> int:
        """Every parameter."""
        return num_parameters(self.dimensions)

    @property
    def bytes_per_weight(self) -> float:
        """Average bytes of a weight, as loaded."""
        return self.loaded_bytes / self.num_parameters

    @property
    def head_bytes(self) -> int:
        """Bytes of the output head."""
        return round(head_weights(self.dimensions) * self.bytes_per_weight)

    def decode_bytes(self, rows: int) -> float:
        """Bytes read to decode one token in each of `rows` rows.

        The input embedding is only looked up and the vision tower sleeps. Of a mixture's experts
        those are read that any row was routed to, taking routes as independent.
        """
        d = self.dimensions
        experts: float = d.num_experts
        if d.num_experts:
            untouched = (1 - d.experts_per_token / d.num_experts) ** rows
            experts = d.num_experts * (1 - untouched)
        shared = body_weights(d, 0) + head_weights(d)
        one_expert = (body_weights(d) - body_weights(d, 0)) / max(d.num_experts, 1)
        return (shared + experts * one_expert) * self.bytes_per_weight


def describe_model(name: str, mixed_precision: bool = True) -> ModelFacts:
    """Gather the facts about a model by alias, hub id or folder.

    `mixed_precision` off loads weights that are not packed as float32.

    Raises:
        ModelError: the name is unknown and nothing of it is on disk, or its files are damaged.
    """
    folder, known = local_folder(name), find_model(name)
    if folder is not None:
        facts = _from_folder(name, folder)
    elif known is not None and known.config:
        facts = _from_registry(name)
    else:
        raise ModelError(
            f"There is no model {name!r}: no folder, no known alias, nothing downloaded.",
            f"{propose_model(name)}List the known ones with opd models, or download it first.",
        )
    return facts if mixed_precision else _as_float32(facts)


def read_config(folder: Path) -> dict[str, object]:
    """Read a model folder's config.json.

    Raises:
        ModelError: it is missing or damaged.
    """
    file = folder / "config.json"
    try:
        values = json.loads(read_model_file(file))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} has no config.json.", "Give a model's folder.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} is damaged ({error}).", "Download it again.") from error
    if not isinstance(values, dict):
        raise ModelError(f"{file} is no JSON object.", "Download it again.")
    return values


def known_config(name: str) -> dict[str, object] | None:
    """A model's config.json from its folder or the registry; None where neither has one."""
    folder, known = local_folder(name), find_model(name)
    if folder is not None and (folder / "config.json").is_file():
        try:
            return read_config(folder)
        except ModelError:
            return None  # damaged, which the check of the disk says
    return dict(known.config) if known is not None and known.config else None


def family_targets(folder: Path) -> tuple[str, ...] | None:
    """The registry's LoRA targets for the type a model folder says it is; None if unknown.

    Raises:
        ModelError: the folder has no readable config.json.
    """
    return lora_targets(str(read_config(folder).get("model_type", "")))


def _from_folder(name: str, folder: Path) -> ModelFacts:
    config = read_config(folder)
    dimensions = parse_dimensions(config, name)
    loaded = read_weights(folder).loaded_bytes(dimensions.tied)
    targets = family_targets(folder)
    layers = decoder_layers(dimensions)
    if targets is None:
        # Files in a packing that is not MLX's own name no matrices; the dimensions must do then.
        stored = stored_layers(folder, config, dimensions.num_layers)
        layers = stored if all(stored) else layers
    return ModelFacts(name, dimensions, loaded, "disk", folder, targets, layers)


@lru_cache(maxsize=1_000)
def _from_registry(name: str) -> ModelFacts:
    """Facts of a known name; the registry does not change while a program runs."""
    known = find_model(name)
    assert known is not None
    packed = {} if known.bits == 16 else {"quantization": {"bits": known.bits}}
    dimensions = parse_dimensions({**known.config, **packed}, name)
    loaded, layers = weight_bytes(dimensions), decoder_layers(dimensions)
    return ModelFacts(name, dimensions, loaded, "registry", None, known.lora_targets, layers)


def _as_float32(facts: ModelFacts) -> ModelFacts:
    if facts.dimensions.bits < 16:
        return facts
    loaded = facts.num_parameters * FLOAT32_BYTES
    return replace(facts, loaded_bytes=loaded, dimensions=replace(facts.dimensions, bits=32))
