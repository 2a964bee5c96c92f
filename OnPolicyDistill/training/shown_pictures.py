"""Pictures of the rollouts that a run records: named by digest, with small copies in its folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from OnPolicyDistill.datasets.pictures import small_copy
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.files import disk_errors, write_bytes_atomically
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.models.seeing import SeeingModel
from OnPolicyDistill.pictures import FIRST_PICTURE_ID, Picture


def shown_pictures(policy: Policy, prompt_ids: Sequence[int]) -> tuple[Picture, ...]:
    """The pictures of a prompt, in order; none for a model that reads words alone."""
    if not isinstance(policy.model, SeeingModel):
        return ()
    found: list[Picture] = []
    place = 0
    while place < len(prompt_ids):
        if prompt_ids[place] < FIRST_PICTURE_ID:
            place += 1
            continue
        picture, _ = policy.model.book.find(prompt_ids[place])
        found.append(picture)
        place += picture.num_places
    return tuple(found)


def keep_copies(pictures: Iterable[Picture], folder: Path) -> None:
    """Write each picture small, as the model read it, unless its copy is there.

    A picture whose file was changed or taken away meanwhile has none: copies are for people, and
    whether a run can go on without the file is not decided here.

    Raises:
        DiskFullError: the disk is full.
    """
    for picture in pictures:
        file = folder / f"{picture.digest}.png"
        if file.exists():
            continue
        try:
            data = small_copy(picture.pixels())
        except DatasetError:
            continue
        with disk_errors(file):
            folder.mkdir(exist_ok=True)
        write_bytes_atomically(file, data)
