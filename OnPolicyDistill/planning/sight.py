"""Whether a model reads pictures, and how: by its folder, or as the registry knows it."""

from __future__ import annotations

from dataclasses import replace

from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT, sight_of_folder
from OnPolicyDistill.pictures import Sight
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.registry import find_model, local_folder


def sight_of_model(model: str, limits: tuple[int, int] | None = None) -> Sight | None:
    """How a model reads pictures; None for a text model and for one that nobody knows.

    `limits` are the fewest and most pixels that a run sets, where it sets them.

    Raises:
        ModelError: the model's folder is damaged.
    """
    folder = local_folder(model)
    if folder is not None:
        return sight_of_folder(folder, limits)
    if find_model(model) is None:
        return None
    vision = describe_model(model).dimensions.vision
    if vision is None:
        return None
    smallest, largest = limits or (DEFAULT_SIGHT.min_pixels, DEFAULT_SIGHT.max_pixels)
    return replace(
        DEFAULT_SIGHT,
        patch=vision.patch,
        merge=vision.merge,
        min_pixels=smallest,
        max_pixels=largest,
    )
