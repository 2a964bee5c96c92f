"""The files behind the name of a data set: a file, a folder with one set, or a folder's split.

`geometry3k/train` is the split `train` of the folder `geometry3k`, whose files may lie in a folder
`data` and be cut into pieces (`train-00000-of-00002.parquet`), as Hugging Face publishes them.
"""

from __future__ import annotations

import re
from pathlib import Path

from OnPolicyDistill.errors import DatasetError

ENDINGS = (".parquet", ".jsonl")
PLACES = ("", "data")
PIECE = re.compile(r"-\d+-of-\d+$")


def set_files(path: Path) -> tuple[Path, ...]:
    """The files of a set, in order; a plain file is its own.

    Raises:
        DatasetError: there is nothing of that name that can be read, or a folder has no set or
            several.
    """
    try:
        return _found(path)
    except (OSError, ValueError) as error:
        raise DatasetError(f"It cannot be read ({error}).", "Check its name.", path) from error


def _found(path: Path) -> tuple[Path, ...]:
    if path.is_dir():
        splits = _splits(path)
        if len(splits) == 1:
            return next(iter(splits.values()))
        if splits:
            names = ", ".join(sorted(splits))
            message = f"The folder has several sets: {names}."
            raise DatasetError(message, f"Name one: {path / min(splits)}.", path)
        message = "The folder has no JSONL or parquet file, so it cannot be read."
        raise DatasetError(message, "Name the file, or a folder that has one.", path)
    if path.exists():
        return (path,)
    split = _splits(path.parent).get(path.name) if path.parent.is_dir() else None
    if split is None:
        raise DatasetError("There is no such file.", "Check the path.", path)
    return split


def is_set(path: Path) -> bool:
    """Whether there is a set of that name: a file, a folder with one, or a split."""
    try:
        return all(file.is_file() for file in set_files(path))
    except (DatasetError, OSError):
        return False


def _splits(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Files by the split that their names tell, in the first place that has any."""
    for place in PLACES:
        found: dict[str, tuple[Path, ...]] = {}
        for ending in ENDINGS:
            files = sorted(file for file in (folder / place).glob(f"*{ending}") if file.is_file())
            taken = set(found)
            for file in files:
                name = PIECE.sub("", file.stem)
                if name not in taken:
                    found[name] = (*found.get(name, ()), file)
        if found:
            return found
    return {}
