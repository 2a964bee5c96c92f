"""The grafted model of a run in numbers, before anything of it is downloaded or put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.pictures import Sight
from OnPolicyDistill.planning.models import FLOAT32_BYTES, ModelFacts, describe_model, read_config
from OnPolicyDistill.planning.vision import parse_vision
from OnPolicyDistill.registry import find_model, local_folder, propose_model
from OnPolicyDistill.settings.projector import ProjectorSettings

TOWER_TYPE, BODY_TYPE = "qwen2_5_vl", "qwen3"
STORED_BYTES = 2
# Neither matters for sizes: what pixels are normalized by.
MEAN = STD = (0.5, 0.5, 0.5)


def grafted_facts(settings: ProjectorSettings) -> ModelFacts:
    """The language model with the tower before it, as they will be loaded.

    Raises:
        ModelError: a model is unknown or damaged, or cannot be what it is named as.
    """
    if settings.grafted_model is not None:
        return describe_model(settings.grafted_model, settings.mixed_precision)
    language = describe_model(settings.language_model, settings.mixed_precision)
    if language.dimensions.model_type != BODY_TYPE or language.dimensions.vision is not None:
        raise ModelError(
            f"{settings.language_model} is no dense Qwen3 without vision, on which a tower could "
            "be grafted.",
            "Name one as language_model, such as qwen3-4b.",
        )
    tower = parse_vision(_vision_config(settings.vision_model), TOWER_TYPE)
    assert tower is not None
    each = STORED_BYTES if settings.mixed_precision else FLOAT32_BYTES
    is_here = local_folder(settings.vision_model) is not None
    return replace(
        language,
        dimensions=replace(language.dimensions, vision=tower),
        loaded_bytes=language.loaded_bytes + each * tower.parameters,
        source=language.source if is_here else "registry",
    )


def num_projector_weights(settings: ProjectorSettings) -> int:
    """Weights of the projector: all that learns.

    Raises:
        ModelError: a model is unknown or damaged.
    """
    if settings.grafted_model is not None:
        projector = read_config(Path(settings.grafted_model)).get("projector_config")
        if not isinstance(projector, dict):
            raise ModelError(
                f"{settings.grafted_model} is no grafted folder.", "Make one: opd graft."
            )
        inputs, outputs = int(projector["input_size"]), int(projector["output_size"])
        kind = str(projector["kind"])
    else:
        inputs = int(str(_vision_config(settings.vision_model)["out_hidden_size"]))
        outputs = describe_model(settings.language_model).dimensions.hidden_size
        kind = settings.projector
    return inputs * outputs if kind == "linear" else (inputs + 1 + outputs + 1) * outputs


def _vision_config(name: str) -> Mapping[str, object]:
    """The tower's settings of a model that is here, or known; nothing else of it is looked at."""
    folder, known = local_folder(name), find_model(name)
    if folder is None and known is None:
        raise ModelError(
            f"There is no model {name!r}: no folder, no known alias, nothing downloaded.",
            f"{propose_model(name)}List the known ones with opd models.",
        )
    config: Mapping[str, object] = known.config if known is not None else {}
    if folder is not None:
        config = read_config(folder)
    vision = config.get("vision_config")
    if config.get("model_type") != TOWER_TYPE or not isinstance(vision, dict):
        raise ModelError(
            f"{name} has no tower that is grafted.",
            "Name a Qwen2.5-VL as vision_model, such as qwen2.5-vl-7b.",
        )
    return {**vision, "model_type": TOWER_TYPE}


def sight_of(settings: ProjectorSettings) -> Sight | None:
    """How large pictures are read; None where the tower is not known.

    Raises:
        ModelError: a model is unknown or damaged.
    """
    vision = grafted_facts(settings).dimensions.vision
    if vision is None:
        return None
    return Sight(vision.patch, vision.merge, MEAN, STD, *settings.pixel_limits)


def thinks_by_choice(settings: ProjectorSettings) -> bool:
    """Whether the language model's thinking can be turned off and on, as far as that is known.

    Raises:
        ModelError: its chat template is missing or broken.
    """
    name = settings.grafted_model or settings.language_model
    folder, known = local_folder(name), find_model(name)
    if folder is not None:
        return ChatTemplate.load(folder).switches_thinking
    return known is None or known.chat.thinking == "optional"
