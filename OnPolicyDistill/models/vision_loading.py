"""Loading models that see: the one place that knows mlx-vlm.

Its three model modules are used and its loader is not, which runs Python that a folder names and
cannot read what transformers 5 writes. Importing any of it changes transformers' AutoProcessor for
the whole process, which is undone here.

What is put right in mlx-vlm 0.7.10: the mixture's tower has its two activations swapped; rotary
embeddings are computed by the same operations on every device, of which Metal's fused ones have
other roundings; experts are mlx-lm's, so that adapters and quantization know them.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import cast

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import SwitchGLU
from mlx_lm.tokenizer_utils import TokenizerWrapper
from pydantic import JsonValue

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.policy import PICTURE_MARKERS
from OnPolicyDistill.models.seeing import FeatureShelf, SeeingModel
from OnPolicyDistill.models.vision_config import MIXTURE, is_vision_config, mlx_config, read_sight
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.pictures import PictureBook
from OnPolicyDistill.planning.weights import stored_files
from OnPolicyDistill.settings.sight import SightSettings

MEGABYTE = 1_000_000
# The config's names for the ids of PICTURE_MARKERS.
MARKER_KEYS = ("vision_start_token_id", "image_token_id", "vision_end_token_id")
SET_BY_IMPORT = ("TRANSFORMERS_NO_ADVISORY_WARNINGS", "TRANSFORMERS_VERBOSITY")
# Beginnings of parameter names in folders of transformers, old and new, and what they become.
RENAMED = (
    ("model.language_model.", "language_model.model."),
    ("model.visual.", "vision_tower."),
    ("visual.", "vision_tower."),
    ("model.", "language_model.model."),
    ("lm_head.", "language_model.lm_head."),
)


def open_seeing_model(folder: Path) -> tuple[SeeingModel, dict[str, JsonValue]]:
    """Lay out a model that sees, and its config as the folder has it; weights are read later.

    Raises:
        ModelError: the folder names Python, mlx-vlm is not installed, or config, preprocessor and
            weights do not belong together.
    """
    config = read_json(folder / "config.json")
    assert is_vision_config(config)
    refuse_named_python(folder, config)
    plain = mlx_config(config)
    model = lay_out(plain, folder)
    weights = _named_as_here(_stored_weights(folder), plain)
    _pack_as_stored(model, plain, weights)
    model.load_weights(list(weights.items()), strict=True)
    return model, cast(dict[str, JsonValue], config)


def refuse_named_python(folder: Path, config: dict[str, object]) -> None:
    """Refuse a folder that wants Python of its own to be run.

    Raises:
        ModelError: its config has `model_file` or `auto_map`.
    """
    for key in ("model_file", "auto_map"):
        if key in config:
            raise ModelError(
                f"{folder} wants Python of its own to be run ({key} in config.json), which is "
                "never done.",
                "Use the model as its authors published it, or a conversion without such code.",
            )


def lay_out(config: dict[str, object], folder: Path) -> SeeingModel:
    """A model of a config in mlx-vlm's spelling, its weights still to be read or drawn.

    `folder` says how pictures are read.

    Raises:
        ModelError: mlx-vlm is not installed, or the folder does not say it.
    """
    family = str(config["model_type"])
    module = family_module(family)
    text_fields = config.get("text_config", config)
    text = module.TextConfig.from_dict(text_fields)
    vision = module.VisionConfig.from_dict(config["vision_config"])
    whole = module.ModelConfig(text_config=text, vision_config=vision, model_type=family)
    inner = module.Model(whole)
    for layer in inner.language_model.model.layers:
        layer.self_attn.rotary_emb.fused_apply = False
        if family == MIXTURE and "switch_mlp" in layer.mlp:
            sizes = text.hidden_size, text.moe_intermediate_size, text.num_experts
            layer.mlp.switch_mlp = SwitchGLU(*sizes)
    if family == MIXTURE:
        _put_activations_right(inner.vision_tower)
    return SeeingModel(inner.vision_tower, inner.language_model, read_sight(folder, config), "grid")


def _put_activations_right(tower: nn.Module) -> None:
    """Exact GELU in the mergers and its tanh form in the blocks, as in transformers."""
    for merger in (tower.merger, *tower.deepstack_merger_list):
        merger.act_fn = nn.GELU()
    for block in tower.blocks:
        block.mlp.act_fn = nn.GELU(approx="tanh")


def family_module(family: str) -> ModuleType:
    """mlx-vlm's module of a family, without what its import does to transformers."""
    from transformers import AutoProcessor  # noqa: PLC0415  (slow, and for pictures alone)

    own = AutoProcessor.__dict__["from_pretrained"]
    environment = {name: os.environ.get(name) for name in SET_BY_IMPORT}
    try:
        return _imported(family)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"Models that see need mlx-vlm, and {error.name} is not installed.",
            "Install it: pip install 'onpolicydistill[vlm]', or make setup in a checkout.",
        ) from error
    finally:
        setattr(AutoProcessor, "from_pretrained", own)  # noqa: B010  (a method, to mypy)
        for name, value in environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _imported(family: str) -> ModuleType:
    if family == "qwen2_5_vl":
        from mlx_vlm.models import qwen2_5_vl  # noqa: PLC0415  (as above)

        return qwen2_5_vl
    if family == MIXTURE:
        from mlx_vlm.models import qwen3_vl_moe  # noqa: PLC0415

        return qwen3_vl_moe
    from mlx_vlm.models import qwen3_vl  # noqa: PLC0415

    return qwen3_vl


def _stored_weights(folder: Path) -> dict[str, mx.array]:
    tensors: dict[str, mx.array] = {}
    for file in stored_files(folder):
        loaded = mx.load(str(file))
        assert isinstance(loaded, dict)
        tensors |= loaded
    return tensors


def _named_as_here(weights: dict[str, mx.array], config: dict[str, object]) -> dict[str, mx.array]:
    """Weights by the names and in the layouts of the modules, whoever stored them."""
    named: dict[str, mx.array] = {}
    for stored, array in weights.items():
        name = _renamed(stored)
        if name.endswith((".rotary_emb.inv_freq", ".position_ids")):
            continue
        if ".mlp.experts." in name:
            named |= _experts(name, array, config)
        elif name == "vision_tower.patch_embed.proj.weight":
            named[name] = _channels_last(array)
        else:
            named[name] = array
    text = config.get("text_config", config)
    assert isinstance(text, dict)
    if text["tie_word_embeddings"]:
        named = {name: array for name, array in named.items() if ".lm_head." not in name}
    return named


def _renamed(name: str) -> str:
    if name.startswith(("language_model.", "vision_tower.")):
        return name
    for beginning, here in RENAMED:
        if name.startswith(beginning):
            return here + name.removeprefix(beginning)
    return name


def _channels_last(kernel: mx.array) -> mx.array:
    """(out, 3, frames, p, p), as torch stores it, becomes (out, frames, p, p, 3)."""
    return kernel if kernel.shape[-1] == 3 else kernel.transpose(0, 2, 3, 4, 1)


def _experts(name: str, array: mx.array, config: dict[str, object]) -> dict[str, mx.array]:
    """Experts' matrices (experts, inputs, outputs) as transformers stores them, one a map."""
    text = config["text_config"]
    assert isinstance(text, dict)
    width, inner = int(text["hidden_size"]), int(text["moe_intermediate_size"])
    path = name.replace(".mlp.experts.", ".mlp.switch_mlp.")
    if name.endswith(".gate_up_proj") and array.shape[1:] == (width, 2 * inner):
        path = path.removesuffix("gate_up_proj")
        gate, up = mx.split(array.transpose(0, 2, 1), 2, axis=1)
        return {f"{path}gate_proj.weight": gate, f"{path}up_proj.weight": up}
    if name.endswith(".down_proj") and array.shape[1:] == (inner, width):
        return {f"{path}.weight": array.transpose(0, 2, 1)}
    raise ModelError(
        f"The experts' weights {name} of the shape {array.shape} are laid out in a way that is "
        "not known.",
        "Use the model as its authors published it, or mlx-community's conversion.",
    )


def _pack_as_stored(
    model: SeeingModel, config: dict[str, object], weights: dict[str, mx.array]
) -> None:
    """Make those modules quantized ones whose scales are stored, each with its own settings."""
    packed = config.get("quantization", config.get("quantization_config"))
    if packed is None:
        return
    if not isinstance(packed, dict) or "group_size" not in packed:
        raise ModelError(
            "The model is quantized by another program than MLX, and cannot be read.",
            "Use the original weights, or mlx-community's conversion.",
        )

    def settings_of(path: str, module: nn.Module) -> bool | dict[str, object]:
        own = packed.get(path)
        if isinstance(own, dict):
            return own
        return f"{path}.scales" in weights and isinstance(module, nn.Module)

    nn.quantize(
        model,
        group_size=packed["group_size"],
        bits=packed["bits"],
        mode=packed.get("mode", "affine"),
        class_predicate=settings_of,
    )


def open_eyes(model: SeeingModel, settings: SightSettings | None, book: PictureBook | None) -> None:
    """Set how large pictures are read, where they are found and how many are remembered.

    A grafted model, whose places stand in a line, keeps to the sizes that it was trained with.
    """
    chosen = settings or SightSettings()
    if settings is not None and model.positions == "grid":
        smallest, largest = settings.min_pixels, settings.max_pixels
        model.sight = replace(model.sight, min_pixels=smallest, max_pixels=largest)
    model.shelf = FeatureShelf(chosen.picture_cache_mb * MEGABYTE)
    if book is not None:
        model.book = book


def require_markers(folder: Path, tokenizer: TokenizerWrapper) -> None:
    """Refuse a tokenizer that has not the words that pictures stand between.

    Raises:
        ModelError: one is missing, or has another id than the config says.
    """
    config = read_json(folder / "config.json")
    ids = tokenizer.get_vocab()
    for marker, key in zip(PICTURE_MARKERS, MARKER_KEYS, strict=True):
        if ids.get(marker) is None or config.get(key, ids[marker]) != ids[marker]:
            raise ModelError(
                f"The tokenizer in {folder} has {marker} as {ids.get(marker)}, and the model "
                f"wants {config.get(key)}.",
                "Download the model again; tokenizer and config must be of one model.",
            )
