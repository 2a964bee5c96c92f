"""LoRA on any linear layers: put on, switched off, counted.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models" (2021): y = W x + (alpha / rank)
B A x with B zero at the start, so that a fresh adapter changes nothing. The layers are mlx-lm's,
which know quantized and mixture-of-experts weights; A and B are float32 whatever the base is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten
from mlx_lm.models.afm7 import FusedLinear, FusedQuantizedLinear
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear
from mlx_lm.tuner.lora import LoRALinear, LoRASwitchLinear

from OnPolicyDistill.adapters.dropout import SeededDropout
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.planning.targets import Layers, LinearMap, choose_targets
from OnPolicyDistill.settings.training import LoraSettings

AdapterLayer = LoRALinear | LoRASwitchLinear
# MLX packs quantized weights into words of 32 bits.
PACKED_WORD_BITS = 32
ADAPTABLE = (nn.Linear, nn.QuantizedLinear, SwitchLinear, QuantizedSwitchLinear)
# Their output is a list, which no adapter layer can add to.
UNADAPTABLE = (FusedLinear, FusedQuantizedLinear)


@dataclass(frozen=True, slots=True)
class AttachedAdapter:
    """What was put on a model, in mlx-lm's terms.

    `keys` are module paths inside a layer, such as `self_attn.q_proj`; `num_layers` counts layers
    from the last, -1 means all. `num_modules` and `num_parameters` are for people.
    """

    rank: int
    scale: float
    dropout: float
    num_layers: int
    keys: tuple[str, ...]
    num_modules: int
    num_parameters: int


def attach_adapter(
    model: nn.Module, settings: LoraSettings, family: Sequence[str] | None, seed: int
) -> AttachedAdapter:
    """Freeze a model and put a fresh adapter on its linear layers; only the adapter can learn.

    A target is the last part of a module's name (`q_proj`) or more of its path
    (`self_attn.q_proj`). Where the settings name none, `family` stands in: the registry's list,
    or None for every linear layer. Routers, and experts unless the settings ask for them, stay
    frozen. A depends on `seed` alone, not on MLX's global random state, and B is zero.

    Raises:
        ModelError: a target matches no linear layer or may not be adapted, or an adapter is
            already attached.
    """
    choice = choose_targets(linear_maps(model), settings, family)
    if choice.problems:
        raise choice.problems[0]
    keys = choice.paths
    scale = settings.alpha / settings.rank
    adapter = attach_keys(model, keys, settings.layers, settings.rank, scale, settings.dropout)
    modules = adapter_layers(model)
    module_keys = mx.random.split(mx.random.key(seed), len(modules))
    for layer, key in zip(modules.values(), module_keys, strict=True):
        layer.lora_a = _initial_a(layer, key)
    mx.eval(model.trainable_parameters())
    return adapter


def attach_keys(
    model: nn.Module,
    keys: Sequence[str],
    num_layers: int,
    rank: int,
    scale: float,
    dropout: float,
) -> AttachedAdapter:
    """Put adapter layers on module paths of the last `num_layers` layers, as mlx-lm would.

    A path may be one inside of a layer or a whole one, as mlx-vlm writes them. A and B are left
    for the caller to fill.

    Raises:
        ModelError: an adapter is already attached.
    """
    if adapter_layers(model):
        raise ModelError(
            "The model already has an adapter.", "Load it again, or fuse the adapter first."
        )
    model.freeze()
    wanted = frozenset(keys)
    paths = {id(module): path for path, module in _named_modules(model).items()}
    for layer in _last_layers(model, num_layers):
        found = [
            (name, _wrap(module, rank, scale, dropout))
            for name, module in _named_modules(layer).items()
            if _is_adaptable(module) and not wanted.isdisjoint({name, paths[id(module)]})
        ]
        if found:
            layer.update_modules(tree_unflatten(found))
    trainable = flat_arrays(model.trainable_parameters())
    num_parameters = sum(array.size for array in trainable.values())
    num_modules = len(adapter_layers(model))
    return AttachedAdapter(
        rank, scale, dropout, num_layers, tuple(keys), num_modules, num_parameters
    )


def adapter_layers(model: nn.Module) -> dict[str, AdapterLayer]:
    """Adapter layers by full module path, in the order of their names."""
    return {
        name: module
        for name, module in _named_modules(model).items()
        if isinstance(module, LoRALinear | LoRASwitchLinear)
    }


def adapter_parameters(model: nn.Module) -> dict[str, mx.array]:
    """A and B of every adapter layer by full name, in the order of their names."""
    return {
        f"{name}.{leaf}": layer[leaf]
        for name, layer in adapter_layers(model).items()
        for leaf in ("lora_a", "lora_b")
    }


@contextmanager
def adapter_disabled(model: nn.Module) -> Iterator[None]:
    """Make a model compute exactly what its base model does, without a second copy.

    Programs compiled by `mx.compile` outside of this block keep the scale they were made with.
    """
    layers = list(adapter_layers(model).values())
    scales = [layer.scale for layer in layers]
    for layer in layers:
        layer.scale = 0.0
    try:
        yield
    finally:
        for layer, scale in zip(layers, scales, strict=True):
            layer.scale = scale


def detach_adapter(model: nn.Module) -> None:
    """Take every adapter layer off again; the base weights were never touched."""
    found = [(name, layer.linear) for name, layer in adapter_layers(model).items()]
    model.update_modules(tree_unflatten(found))


def linear_maps(model: nn.Module) -> Layers:
    """All that an adapter could be put on, layer by layer."""
    return tuple(
        tuple(
            _linear_map(path, module)
            for path, module in _named_modules(layer).items()
            if _is_adaptable(module)
        )
        for layer in model.layers
    )


def linear_layer_names(model: nn.Module, num_layers: int = -1) -> tuple[str, ...]:
    """Paths, inside one of the last `num_layers` layers, of all an adapter can be put on."""
    names = {
        name
        for layer in _last_layers(model, num_layers)
        for name, module in _named_modules(layer).items()
        if _is_adaptable(module)
    }
    return tuple(sorted(names))


def _is_adaptable(module: nn.Module) -> bool:
    return isinstance(module, ADAPTABLE) and not isinstance(module, UNADAPTABLE)


def _linear_map(path: str, module: nn.Module) -> LinearMap:
    *copies, outputs, inputs = module.weight.shape
    if isinstance(module, nn.QuantizedLinear | QuantizedSwitchLinear):
        inputs = inputs * PACKED_WORD_BITS // module.bits
    return LinearMap(path, outputs, inputs, copies[0] if copies else 1)


def _last_layers(model: nn.Module, num_layers: int) -> list[nn.Module]:
    layers = list(model.layers)
    return layers if num_layers <= 0 else layers[-num_layers:]


def _named_modules(module: nn.Module) -> dict[str, nn.Module]:
    """Modules by path, sorted by layer number and name; MLX's own order is a stack's."""
    named: list[tuple[str, nn.Module]] = module.named_modules()
    return dict(sorted(named, key=lambda item: _natural(item[0])))


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def _wrap(module: nn.Module, rank: int, scale: float, dropout: float) -> AdapterLayer:
    layer: AdapterLayer
    if isinstance(module, nn.Linear | nn.QuantizedLinear):
        # mlx-lm annotates Linear alone and handles quantized ones as well.
        layer = LoRALinear.from_base(module, rank, dropout, scale)  # type: ignore[arg-type]
    else:
        layer = LoRASwitchLinear.from_base(module, rank, dropout, scale)
    layer.dropout = SeededDropout(dropout)
    return layer


def _initial_a(layer: AdapterLayer, key: mx.array) -> mx.array:
    """Uniform in +-1 / sqrt(input width), as mlx-lm initializes it."""
    is_switch = isinstance(layer, LoRASwitchLinear)
    bound = 1.0 / math.sqrt(layer.lora_a.shape[-1] if is_switch else layer.lora_a.shape[0])
    return mx.random.uniform(-bound, bound, layer.lora_a.shape, key=key)
