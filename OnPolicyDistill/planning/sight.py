"""Whether a model reads pictures, and how: by its folder, or as the registry knows it."""

from __future__ import annotations

from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT, sight_of_folder
from OnPolicyDistill.pictures import Sight
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
    known = find_model(model)
    return DEFAULT_SIGHT if known is not None and known.vision else None
