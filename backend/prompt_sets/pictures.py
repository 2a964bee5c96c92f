"""Pictures of a set for the screen: their sizes as a model reads them, and small copies.

A copy is asked for by set, line and number, never by a file's name, and is drawn anew: a request
reaches only files that the set names, and of those only what can be decoded as a picture.
"""

from __future__ import annotations

from pathlib import Path
from threading import BoundedSemaphore

from backend.problems import NotFoundError
from backend.prompt_sets.views import PreviewPicture
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.picture_lines import picture_of_line
from OnPolicyDistill.datasets.pictures import PictureSource, named, picture_size, thumbnail
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.pictures import Sight

# A picture of 50 million pixels takes 150 MB and more while it is decoded.
_DECODING = BoundedSemaphore(2)


def preview_picture(source: PictureSource, number: int, sight: Sight) -> PreviewPicture:
    """Measure a picture by its header; what is wrong with it is told instead."""
    try:
        height, width = picture_size(source)
        with named(source):
            num_tokens = sight.num_places(height, width)
    except DatasetError as error:
        return PreviewPicture(number=number, problem=f"{error.what} {error.action}".strip())
    return PreviewPicture(number=number, width=width, height=height, num_tokens=num_tokens)


def thumbnail_of(file: Path, kind: SetKind, line: int, number: int) -> bytes:
    """Draw a small PNG of a line's picture; both count from 1.

    Raises:
        NotFoundError: there is no such line, or it has no such picture.
        DatasetError: the set or the picture cannot be read.
    """
    source = picture_of_line(file, kind, line, number)
    if source is None:
        raise NotFoundError(f"Line {line} has no picture {number}.")
    with _DECODING:
        return thumbnail(source)
