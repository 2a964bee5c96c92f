"""Which linear maps of a model an adapter goes on: one answer for trainer, plan and check.

The trainer lists the maps of the loaded model, the plan those it computes from dimensions or reads
off the weight files; all ask `choose_targets`. Two rules hold for every family: a router never
takes an adapter, since moving it changes which experts a token meets, and experts take one only
when they are asked for, since theirs are larger than all the others together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.settings.training import LoraSettings

# Parts of module paths, as every architecture of mlx-lm 0.32 names them.
ROUTERS = frozenset({"gate", "router", "modality_router", "shared_expert_gate", "coefficient"})
EXPERTS = frozenset({"experts", "switch_mlp", "switch_glu"})
# Maps to a few numbers a head that say how fast a recurrent state fades, how strongly a token is
# written into it, or how much of it is let through; and what chooses the tokens that sparse
# attention looks at, whose choice has no gradient. They stay as they are unless they are named.
INDEXER = "indexer"
DECAYS = frozenset(
    {
        "in_proj_a", "in_proj_b", "in_proj_ba",  # gated delta rule
        "a_proj", "b_proj", "f_a_proj", "f_b_proj", "g_a_proj", "g_b_proj",  # the same in others
        "x_proj", "dt_proj", "bcdt_proj",  # Mamba
    }
)  # fmt: skip
# Gemma 3n and Kimi K3 multiply with their weights themselves, past whatever an adapter adds.
READ_DIRECTLY = frozenset(
    {"prediction_coefs", "correction_coefs", "self_attention_res_proj", "mlp_res_proj"}
)


@dataclass(frozen=True, slots=True)
class LinearMap:
    """A linear map by its path inside a layer, such as `self_attn.q_proj`.

    `copies` is how many experts have one of their own, 1 outside of a mixture.
    """

    path: str
    outputs: int
    inputs: int
    copies: int = 1

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rsplit(".", maxsplit=1)[-1]

    @property
    def is_router(self) -> bool:
        """Whether it chooses or weighs experts."""
        return not ROUTERS.isdisjoint(self.path.split("."))

    @property
    def is_expert(self) -> bool:
        """Whether it belongs to experts among which a router chooses; shared ones do not."""
        return not self.is_router and not EXPERTS.isdisjoint(self.path.split("."))

    @property
    def steers(self) -> bool:
        """Whether it steers a recurrent state, or chooses tokens, instead of carrying words."""
        return self.name in DECAYS or INDEXER in self.path.split(".")

    def answers_to(self, target: str) -> bool:
        """Whether a target means this map: its path, or whole parts from the path's end."""
        return self.path == target or self.path.endswith(f".{target}")


# A model's layers from the first to the last, each with its linear maps.
Layers = tuple[tuple[LinearMap, ...], ...]


@dataclass(frozen=True, slots=True)
class TargetChoice:
    """What an adapter goes on, layer by layer, and what is wrong with the targets, if anything.

    `layers` are the last ones that the settings leave, with the chosen maps alone.
    """

    layers: Layers
    problems: tuple[ModelError, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths inside a layer, sorted, each once: mlx-lm's `keys`."""
        return tuple(sorted({chosen.path for layer in self.layers for chosen in layer}))

    @property
    def num_modules(self) -> int:
        """Adapter layers; the experts of one map share one."""
        return sum(len(layer) for layer in self.layers)

    def num_parameters(self, rank: int) -> int:
        """Parameters of all low-rank matrices."""
        maps = (chosen for layer in self.layers for chosen in layer)
        return sum(rank * chosen.copies * (chosen.outputs + chosen.inputs) for chosen in maps)


class PlannedAdapter(BaseModel):
    """The adapter a run will train, as it can be known without loading a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_modules: int = Field(description="Linear layers that take an adapter.")
    num_parameters: int = Field(description="Parameters of all its matrices.")
    targets: tuple[str, ...] = Field(description="Paths of the layers inside a decoder layer.")
    experts: Literal["none", "frozen", "adapted"] = Field(
        description="What happens to the experts of a mixture; its router is always frozen."
    )
    known_family: bool = Field(
        description="Off where the registry has no list for the family, so that the targets were "
        "found among the model's own layers."
    )

    def in_words(self) -> str:
        """One sentence about what learns."""
        experts = {
            "none": "",
            "frozen": "; experts and router stay frozen",
            "adapted": "; the experts take one each, the router stays frozen",
        }
        origin = "" if self.known_family else "; the registry has no list for this family"
        return (
            f"The adapter has {self.num_parameters:,} parameters on {self.num_modules} linear "
            f"layers: {', '.join(self.targets)}{experts[self.experts]}{origin}."
        )


def choose_targets(
    layers: Layers, lora: LoraSettings, family: Sequence[str] | None
) -> TargetChoice:
    """Choose the linear maps that an adapter goes on.

    `family` is the registry's list for the model's type; None, for a type it has none for, means
    every linear map but those that steer. Targets of the settings come first.
    What cannot be adapted as asked is left out and said in `problems`.
    """
    kept = layers if lora.layers <= 0 else layers[-lora.layers :]
    distinct = _maps_of(kept)
    names = lora.targets or family
    # A family's list is that of a whole model: the last layers of some lack a kind of map.
    asked = distinct if lora.targets else _maps_of(layers)
    problems = [] if names is None else [_problem(name, asked, lora) for name in names]
    able = {found for found in distinct if _is_able(found, lora)}
    chosen = {found for found in able if _is_wanted(found, names)}
    if not chosen and not any(problems):
        has = ", ".join(sorted({found.path for found in able}))
        problems.append(ModelError("No LoRA targets are given.", f"The model has: {has}."))
    return TargetChoice(
        tuple(tuple(found for found in layer if found in chosen) for layer in kept),
        tuple(problem for problem in problems if problem is not None),
    )


def describe_targets(
    layers: Layers, choice: TargetChoice, lora: LoraSettings, family: Sequence[str] | None
) -> PlannedAdapter:
    """Put a choice into numbers and names for people."""
    has_experts = any(found.is_expert for layer in layers for found in layer)
    adapted = any(found.is_expert for layer in choice.layers for found in layer)
    return PlannedAdapter(
        num_modules=choice.num_modules,
        num_parameters=choice.num_parameters(lora.rank),
        targets=choice.paths,
        experts="adapted" if adapted else "frozen" if has_experts else "none",
        known_family=family is not None,
    )


def _maps_of(layers: Layers) -> set[LinearMap]:
    """Every linear map once; layers alike are mostly one object, which is looked into once."""
    distinct = {id(layer): layer for layer in layers}
    return {found for layer in distinct.values() for found in layer}


def _is_able(found: LinearMap, lora: LoraSettings) -> bool:
    if found.is_router or found.name in READ_DIRECTLY:
        return False
    return lora.experts or not found.is_expert


def _is_wanted(found: LinearMap, names: Sequence[str] | None) -> bool:
    if names is None:
        return not found.steers
    return any(found.answers_to(name) for name in names)


def _problem(target: str, maps: set[LinearMap], lora: LoraSettings) -> ModelError | None:
    """Say why a target cannot be taken; a family's list may name experts that stay frozen."""
    matched = [found for found in maps if found.answers_to(target)]
    if not matched:
        able = sorted({found.name for found in maps if _is_able(found, lora)})
        return ModelError(
            f"The LoRA target {target!r} matches no linear layer of this model.",
            f"It has: {', '.join(able)}.",
        )
    if all(found.is_router for found in matched):
        return ModelError(
            f"The LoRA target {target!r} is a router, which chooses the experts of each token; "
            "it is never adapted.",
            "Leave it out. lora.experts: true adapts the experts themselves.",
        )
    if all(found.name in READ_DIRECTLY for found in matched):
        return ModelError(
            f"The model multiplies with the weights of the LoRA target {target!r} itself, past "
            "whatever an adapter adds to them.",
            "Leave it out.",
        )
    if lora.targets and not any(_is_able(found, lora) for found in matched):
        return ModelError(
            f"The LoRA target {target!r} is found in the experts of this mixture alone, and they "
            "are not to be adapted.",
            "Set lora.experts to true, or leave the target out.",
        )
    return None
