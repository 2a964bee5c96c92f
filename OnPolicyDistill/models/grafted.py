"""A grafted model: the vision tower of Qwen2.5-VL, a projector, and the body of a Qwen3.

    pixels -> vision tower with its merger -> projector -> body
              frozen, the features             float32     frozen, 1-D positions
              of a picture are kept            learns

The places of a picture are consecutive tokens: the body knows nothing of rows and columns, which it
reads off the features. What the projector says is cast to the language model's type. A linear one
can be folded into the merger's last layer; the model then has none.

No class of mlx-lm or mlx-vlm has that tower with that body, so a grafted folder is loaded here
alone.

Letters: P places of a picture, C width of the merger's output, D width of the language model.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models import qwen3
from pydantic import JsonValue, TypeAdapter

from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.models.projector import Projector
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.models.vision_config import (
    FURTHER_TOWER_FIELDS,
    TEMPORAL_PATCH,
    TOWER_FIELDS,
    read_sight,
)
from OnPolicyDistill.models.vision_loading import family_module, refuse_named_python
from OnPolicyDistill.models.weight_files import read_json
from OnPolicyDistill.pictures import Sight
from OnPolicyDistill.planning.weights import stored_files

MODEL_TYPE = "grafted_qwen3"
TOWER_TYPE, BODY_TYPE = "qwen2_5_vl", "qwen3"
TOWER, PROJECTOR, LANGUAGE = "vision_tower", "projector", "language_model"

Kind = Literal["linear", "mlp", "folded"]
JSON_OBJECT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class GraftConfig:
    """What config.json of a grafted folder says; `kind` is folded where the merger does it all."""

    vision: Mapping[str, object]
    text: Mapping[str, object]
    kind: Kind
    quantization: Mapping[str, object] | None = None

    @property
    def input_size(self) -> int:
        """C."""
        return _size(self.vision, "out_hidden_size")

    @property
    def output_size(self) -> int:
        """D."""
        return _size(self.text, "hidden_size")


def read_config(folder: Path) -> GraftConfig:
    """Read the config.json of a grafted folder.

    Raises:
        ModelError: the folder was not written by `opd graft`, or names Python of its own.
    """
    values = read_json(folder / "config.json")
    refuse_named_python(folder, values)
    vision, text, projector = (
        values.get(key) for key in ("vision_config", "text_config", "projector_config")
    )
    if values.get("model_type") != MODEL_TYPE or not (
        isinstance(vision, dict) and isinstance(text, dict) and isinstance(projector, dict)
    ):
        raise ModelError(f"{folder} is no grafted model.", "Make one: opd graft.")
    kind = projector.get("kind")
    if kind not in ("linear", "mlp", "folded"):
        raise ModelError(
            f"{folder} has a projector of the kind {kind!r}.", "Known are linear, mlp and folded."
        )
    quantization = values.get("quantization")
    packed = quantization if isinstance(quantization, dict) else None
    return GraftConfig(vision, text, kind, packed)


def write_config(config: GraftConfig) -> dict[str, object]:
    """The config.json of a grafted folder, without what only the tokenizer decides."""
    values: dict[str, object] = {
        "model_type": MODEL_TYPE,
        "architectures": ["GraftedModel"],
        "vision_config": dict(config.vision),
        "text_config": dict(config.text),
        "projector_config": {
            "kind": config.kind,
            "input_size": config.input_size,
            "output_size": config.output_size,
        },
    }
    if config.quantization is not None:
        values["quantization"] = dict(config.quantization)
    return values


def is_grafted(config: Mapping[str, object]) -> bool:
    """Whether a model is a grafted one."""
    return config.get("model_type") == MODEL_TYPE


def lay_out(config: GraftConfig, sight: Sight, names: Container[str]) -> SeeingModel:
    """A model of the right shape with random weights that nothing computes.

    `names` are the tensors that it will get: they say which layers of the language model are
    packed.

    Raises:
        ModelError: the sizes do not go together, or mlx-vlm is not installed.
    """
    module = family_module(TOWER_TYPE)
    try:
        tower = module.VisionModel(module.VisionConfig.from_dict(tower_fields(config.vision)))
        language_model = qwen3.Model(qwen3.ModelArgs.from_dict(dict(config.text)))
        if config.quantization is not None:
            _pack(language_model, config.quantization, names)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(
            f"No model can be laid out by these settings ({str(error).splitlines()[0]}).",
            "Check both config.json.",
        ) from error
    projector = (
        None
        if config.kind == "folded"
        else Projector(config.kind, config.input_size, config.output_size)
    )
    model = SeeingModel(tower, language_model, sight, "line", projector)
    model.freeze()
    model.eval()
    return model


def tower_fields(vision: Mapping[str, object]) -> dict[str, object]:
    """A tower's settings as mlx-vlm spells them.

    Raises:
        ModelError: one is missing, or the tower is not as Qwen2.5-VL's.
    """
    for key in (*TOWER_FIELDS, *FURTHER_TOWER_FIELDS[TOWER_TYPE]):
        if key not in vision:
            raise ModelError(f"The vision_config has no {key}.", "Download the model again.")
    if vision.get("temporal_patch_size", TEMPORAL_PATCH) != TEMPORAL_PATCH:
        raise ModelError(
            "The vision tower does not read frames in pairs.", "Use a Qwen2.5-VL as published."
        )
    channels = vision.get("in_channels", vision.get("in_chans", 3))
    return {**vision, "model_type": TOWER_TYPE, "in_channels": channels}


def open_grafted(folder: Path) -> tuple[SeeingModel, dict[str, JsonValue]]:
    """Lay out a grafted model, and its config; weights are read when they are first evaluated.

    Raises:
        ModelError: the folder is no grafted model, or its files do not fit its config.json.
    """
    config = read_config(folder)
    weights: dict[str, mx.array] = {}
    for file in stored_files(folder):
        loaded = mx.load(str(file))
        assert isinstance(loaded, dict)
        weights |= loaded
    sight = read_sight(folder, {"vision_config": dict(config.vision)})
    model = lay_out(config, sight, weights)
    try:
        model.load_weights(list(weights.items()))
    except ValueError as error:
        raise ModelError(
            f"The weights in {folder} do not fit its config.json ({str(error).splitlines()[0]}).",
            "Graft it again; config and weights must be of one model.",
        ) from error
    return model, JSON_OBJECT.validate_python(read_json(folder / "config.json"))


def _pack(
    language_model: nn.Module, quantization: Mapping[str, object], names: Container[str]
) -> None:
    def is_packed(path: str, module: nn.Module) -> bool | dict[str, object]:
        own = quantization.get(path)
        if isinstance(own, dict):
            return own
        return f"{LANGUAGE}.{path}.scales" in names and isinstance(module, nn.Module)

    nn.quantize(
        language_model,
        group_size=_size(quantization, "group_size"),
        bits=_size(quantization, "bits"),
        mode=str(quantization.get("mode", "affine")),
        class_predicate=is_packed,
    )


def _size(values: Mapping[str, object], key: str) -> int:
    value = values.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(f"A config.json has no usable {key}.", "Download the model again.")
    return value
