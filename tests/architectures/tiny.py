"""Tiny random models of the architectures of mlx-lm, each from its own ModelArgs."""

import importlib
import math

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import MODEL_REMAPPING

from tests.architectures.configs import ALL, ARCHITECTURES, WRAPPERS
from tests.architectures.parts import COMMON, UNTIED, VOCAB_SIZE, WINDOW, Config

__all__ = ["ALL", "VOCAB_SIZE", "WINDOW", "tiny_config", "tiny_model"]


def tiny_config(architecture: str) -> Config:
    """A config.json of the architecture; a nested `text_config` is completed as well."""
    if architecture in WRAPPERS:
        inside, beside = WRAPPERS[architecture]
        text = {**tiny_config(inside), **{key: beside[key] for key in UNTIED if key in beside}}
        return {"model_type": architecture, "text_config": text, **beside}
    own = ARCHITECTURES[architecture]
    inner = own.get("text_config")
    nested = {"text_config": {**COMMON, **inner}} if isinstance(inner, dict) else {}
    return {"model_type": architecture, **COMMON, **own, **nested}


def tiny_model(architecture: str, seed: int = 0) -> nn.Module:
    """A model of the architecture in float32, every array random, ready to answer."""
    mx.random.seed(seed)  # some architectures draw the decays that they begin with
    name = MODEL_REMAPPING.get(architecture, architecture)
    module = importlib.import_module(f"mlx_lm.models.{name}")
    model: nn.Module = module.Model(module.ModelArgs.from_dict(tiny_config(architecture)))
    randomize(model, seed)
    model.eval()
    return model


def randomize(model: nn.Module, seed: int) -> None:
    """Give every floating-point array random values, so that none hides as a zero or a one.

    Matrices keep their inputs' size; vectors such as norms, biases and decays stay near what the
    architecture begins with, since many only work in some range.
    """
    arrays: list[tuple[str, mx.array]] = tree_flatten(model.parameters())  # type: ignore[assignment]
    keys = mx.random.split(mx.random.key(seed), len(arrays))
    drawn = []
    for (name, array), key in zip(arrays, keys, strict=True):
        noise = mx.random.normal(array.shape, key=key)
        if array.ndim < 2 or "conv" in name:
            drawn.append((name, array + 0.1 * noise))
        else:
            drawn.append((name, noise / math.sqrt(array.shape[-1])))
    model.load_weights(drawn)
    mx.eval(model.parameters())
