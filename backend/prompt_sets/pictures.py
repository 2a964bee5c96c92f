"""Pictures of a set for the screen: their sizes as a model reads them, and small copies.

A copy is asked for by set, line and number, never by a file's name, and is drawn anew: a request
reaches only files that the set names, and of those only what can be decoded as a picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import BoundedSemaphore

from backend.problems import NotFoundError
from backend.prompt_sets.views import PreviewPicture
from OnPolicyDistill.datasets.conversations import read_conversations
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.labelled import LabelledItem, read_items
from OnPolicyDistill.datasets.pictures import PictureSource, named, picture_size, thumbnail
from OnPolicyDistill.datasets.prompts import read_prompts
from OnPolicyDistill.datasets.records import BadLine
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
        return PreviewPicture(number=number, problem=f"{error.message} {error.action}".strip())
    return PreviewPicture(number=number, width=width, height=height, num_tokens=num_tokens)


def thumbnail_of(file: Path, kind: SetKind, line: int, number: int) -> bytes:
    """Draw a small PNG of a line's picture; both count from 1.

    Raises:
        NotFoundError: there is no such line, or it has no such picture.
        DatasetError: the set or the picture cannot be read.
    """
    for found, pictures in _pictures_of_lines(file, kind):
        if found == line and number <= len(pictures):
            with _DECODING:
                return thumbnail(pictures[number - 1])
        if found >= line:
            break
    raise NotFoundError(f"Line {line} has no picture {number}.")


def _pictures_of_lines(
    file: Path, kind: SetKind
) -> Iterator[tuple[int, tuple[PictureSource, ...]]]:
    if kind in ("inputs", "text"):
        for line, item in read_items(file):
            yield line, item.pictures if isinstance(item, LabelledItem) else ()
        return
    for found in read_prompts(file) if kind == "prompts" else read_conversations(file):
        yield found.line, () if isinstance(found, BadLine) else found.pictures
