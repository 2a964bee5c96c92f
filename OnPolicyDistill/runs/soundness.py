"""Whether a run's folder can be worked on: looked at before anything is loaded or written.

What is damaged is found here in seconds, not after hours: the last report folds the whole log, and
a checkpoint that was cut short would end the process that loads it.
"""

from __future__ import annotations

import json
import os
import struct
from collections import deque
from pathlib import Path

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.files import kind_of, open_plain
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.checkpoints import list_checkpoints, read_state
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.log import read_events

MAX_FOLDERS = 10_000
MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_LENGTH = struct.Struct("<Q")
# The only links of a run: each is a name in the same folder.
OWN_LINKS = (Path("checkpoints/best"), Path("checkpoints/last"))


def check_resumable(run: RunDirectory, checkpoint: Path | None) -> None:
    """Refuse a run that could not be taken up to its end; `checkpoint` is where it would begin.

    Raises:
        ConfigError: its settings are missing or damaged.
        RunError: its log or the checkpoint is, or the folder has what is no file.
    """
    run.config()
    check_folder(run)
    # A torn last line is cut off when the run is opened; any other damage raises.
    deque(read_events(run.events_file), maxlen=0)
    if checkpoint is not None:
        _check_checkpoint(run, checkpoint)


def check_folder(run: RunDirectory) -> None:
    """Refuse a folder in which a name leads elsewhere, or to what would hang its reader.

    Raises:
        RunError: names the first such thing.
    """
    folders = [run.path]
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif path.relative_to(run.path) not in OWN_LINKS:
                    _refuse_irregular(run, path)
        if len(folders) > MAX_FOLDERS:
            raise RunError(f"Run {run.run_id} has more than {MAX_FOLDERS} folders.", "Restore it.")


def _refuse_irregular(run: RunDirectory, path: Path) -> None:
    kind = kind_of(path)
    if kind is not None:
        raise RunError(
            f"In the folder of run {run.run_id}, {path.relative_to(run.path)} is {kind}.",
            "Nothing there may lead elsewhere: put the file itself in its place.",
        )


def _check_checkpoint(run: RunDirectory, checkpoint: Path) -> None:
    read_state(checkpoint)
    for file in sorted(checkpoint.glob("*.safetensors")):
        problem = _problem_of(file)
        if problem is not None:
            others = [path.name for path in list_checkpoints(run) if path.name != checkpoint.name]
            way_on = f"Resume from an earlier one: --from {others[-1]}."
            raise RunError(
                f"Checkpoint {checkpoint.name} of run {called(run)} is damaged: {file.name} "
                f"{problem}.",
                way_on if others else "There is no other; start the run anew.",
            )


def _problem_of(file: Path) -> str | None:
    """Say what is wrong with a safetensors file by its header and its size, or None."""
    with open_plain(file) as stream:
        size = os.fstat(stream.fileno()).st_size
        begin = stream.read(_LENGTH.size)
        length = _LENGTH.unpack(begin)[0] if len(begin) == _LENGTH.size else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, size):
            return "is cut short"
        try:
            header = json.loads(stream.read(length))
            ends = [it["data_offsets"][1] for name, it in header.items() if name != "__metadata__"]
            expected = _LENGTH.size + length + max(ends, default=0)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return "has a damaged header"
    if size == expected:
        return None
    return "is cut short" if size < expected else "is longer than it says"
