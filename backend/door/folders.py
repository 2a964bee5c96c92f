"""What model folders say about themselves, asked again only when their files have changed."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from threading import Lock

from backend.door.door import DOOR
from backend.door.questions import FolderFacts, FolderQuestion
from backend.door.turns import BusyError
from OnPolicyDistill.errors import DistillError

KEPT_FOLDERS = 1_000
# Weights are read by their headers alone, and only those of model folders count.
READ_FILES = ("*.json", "*.jinja", "*.safetensors", "*.model")

Stamp = tuple[tuple[str, int, int, int], ...]

_lock = Lock()
_known: OrderedDict[Path, tuple[Stamp, FolderFacts | DistillError]] = OrderedDict()


def facts_of_folder(folder: Path) -> FolderFacts:
    """What is in a model's folder; what was wrong with it is remembered as well.

    Raises:
        ModelError: a file is missing or damaged, or reading it takes too much.
        BusyError: too much else is being read; that is not remembered.
        OSError: the folder cannot be looked into.
    """
    folder = folder.resolve()
    stamp = _stamp(folder)
    with _lock:
        known = _known.get(folder)
    if known is None or known[0] != stamp:
        known = stamp, _asked(folder)
        with _lock:
            _known[folder] = known
            while len(_known) > KEPT_FOLDERS:
                _known.popitem(last=False)
    if isinstance(known[1], DistillError):
        raise known[1]
    return known[1]


def _asked(folder: Path) -> FolderFacts | DistillError:
    try:
        return DOOR.ask(FolderQuestion(folder=folder), FolderFacts)
    except BusyError:
        raise
    except DistillError as error:
        return error


def _stamp(folder: Path) -> Stamp:
    """Names, sizes, times and inodes of the files that are read, links followed."""
    found = sorted({file for pattern in READ_FILES for file in folder.glob(pattern)})
    stats = ((file.name, file.stat()) for file in found if file.is_file())
    return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in stats)
