"""Rotary positions that the first Phi-3 models were published with under a name of their own.

`su` is what longrope was called before it was published. mlx-lm reads it in Phi's family as
longrope, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping

from OnPolicyDistill.errors import ModelError

LEGACY = "su"
# mlx-lm's models that take factors for long rows whatever the scaling is called.
READ_AS_LONGROPE = ("minicpm3", "phi3", "phimoe")


def position_problem(config: Mapping[str, object], name: str) -> ModelError | None:
    """What keeps a model from being read because of how its positions are scaled."""
    model_type = str(config.get("model_type", ""))
    if not _is_legacy(config) or model_type in READ_AS_LONGROPE:
        return None
    return ModelError(
        f"{name} scales its rotary positions by {LEGACY}, the old name of longrope, which mlx-lm "
        f"reads in {', '.join(READ_AS_LONGROPE)} only, and not in {model_type}.",
        'Ask its publisher for a config.json with "longrope", or use another model.',
    )


def position_note(config: Mapping[str, object], name: str) -> ModelError | None:
    """What to know of a model that is read, though its positions are scaled by the old name."""
    if not _is_legacy(config) or position_problem(config, name) is not None:
        return None
    return ModelError(
        f"{name} scales its rotary positions by {LEGACY}, the old name of longrope. mlx-lm reads "
        "it as longrope, with the factors for long rows at every length.",
        "Compare its answers with the publisher's before it teaches.",
    )


def _is_legacy(config: Mapping[str, object]) -> bool:
    nested = config.get("text_config")
    places = (config, nested) if isinstance(nested, dict) else (config,)
    return any(_names_legacy(place) for place in places)


def _names_legacy(place: Mapping[str, object]) -> bool:
    scalings = (place.get("rope_scaling"), place.get("rope_parameters"))
    return any(
        LEGACY in (scaling.get("type"), scaling.get("rope_type"))
        for scaling in scalings
        if isinstance(scaling, dict)
    )
