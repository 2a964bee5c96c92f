"""Whether models read pictures, and how: by their folders, or as the registry knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT, sight_of_folder
from OnPolicyDistill.pictures import Sight
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.registry import find_model, local_folder
from OnPolicyDistill.settings.sight import LEAST_PIXELS, MOST_PIXELS, SightSettings


def common_sight(models: Iterable[str], limits: SightSettings) -> Sight | None:
    """How the first of several models reads pictures; None where any of them reads words alone.

    Raises:
        ModelError: a model's config.json is damaged.
    """
    pixels = limits.min_pixels, limits.max_pixels
    found = [sight_of_model(model, pixels) for model in models]
    return None if None in found or not found else found[0]


def own_limits(model: str) -> SightSettings:
    """As large as a model's own folder says that it reads pictures, and no larger than runs do.

    A small model that learned on small pictures sees nothing in enlarged ones; the largest that
    the published ones allow would cost 16,384 tokens each.

    Raises:
        ModelError: the model's folder is damaged.
    """
    usual, sight = SightSettings(), sight_of_model(model)
    if sight is None:
        return usual
    fewest = min(max(sight.min_pixels, LEAST_PIXELS), MOST_PIXELS)
    most = max(fewest, min(sight.max_pixels, usual.max_pixels))
    return SightSettings(min_pixels=fewest, max_pixels=most)


def different_places(student: str, teacher: str, limits: SightSettings) -> str | None:
    """Say how two models cut pictures differently; None where they do not, or one does not see.

    Raises:
        ModelError: a model's config.json is damaged.
    """
    own, theirs = (common_sight([model], limits) for model in (student, teacher))
    if own is None or theirs is None or (own.patch, own.merge) == (theirs.patch, theirs.merge):
        return None
    return (
        f"{student} cuts pictures into places of {own.place_size} pixels, {teacher} into "
        f"{theirs.place_size}: they read different tokens."
    )


def largest_picture(sight: Sight) -> int:
    """Most tokens that one picture costs."""
    return max(sight.max_pixels // sight.place_size**2, 1)


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
