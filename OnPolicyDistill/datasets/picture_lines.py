"""Pictures by the line of a set that names them: whoever asks so never names a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from OnPolicyDistill.datasets.conversations import read_conversations
from OnPolicyDistill.datasets.kinds import SetKind
from OnPolicyDistill.datasets.labelled import LabelledItem, read_items
from OnPolicyDistill.datasets.pictures import PictureSource
from OnPolicyDistill.datasets.prompts import read_prompts
from OnPolicyDistill.datasets.records import BadLine


def picture_of_line(file: Path, kind: SetKind, line: int, number: int) -> PictureSource | None:
    """A line's picture, both counted from 1; None where there is no such line or picture.

    Raises:
        DatasetError: the set cannot be read.
    """
    for found, pictures in _pictures_of_lines(file, kind):
        if found == line and number <= len(pictures):
            return pictures[number - 1]
        if found >= line:
            break
    return None


def _pictures_of_lines(
    file: Path, kind: SetKind
) -> Iterator[tuple[int, tuple[PictureSource, ...]]]:
    if kind in ("inputs", "text"):
        for line, item in read_items(file):
            yield line, item.pictures if isinstance(item, LabelledItem) else ()
        return
    for found in read_prompts(file) if kind == "prompts" else read_conversations(file):
        yield found.line, () if isinstance(found, BadLine) else found.pictures
