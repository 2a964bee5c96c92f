"""Where things go on this machine, how full the disks are, and what is wrong with a folder."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from backend.history.views import View
from backend.paths import PathError, picked_folder
from backend.problems import WrongFieldError
from backend.settings import BackendSettings
from backend.system.reserves import load_reserves
from OnPolicyDistill.errors import DiskFullError
from OnPolicyDistill.runs.chosen_folders import (
    ChosenFolders,
    exports_folder,
    read_chosen_folders,
    write_chosen_folders,
)

SPARE_BYTES = 1_000_000_000
ChosenKey = Literal["exports", "picker"]


class FolderView(View):
    """A folder that this program writes to, or opens; GB are 1e9 bytes, of its disk."""

    key: Literal["runs", "data", "models", "exports", "picker"]
    path: str | None = Field(description="None: the system decides.")
    is_chosen: bool = Field(description="Somebody chose it; else it is the default.")
    free_gb: float | None
    total_gb: float | None
    problem: str | None = Field(description="Why it cannot be used as it is.")
    command: str | None = Field(description="What changes it; None: the settings do.")


class FoldersView(View):
    """Where things go, and folders that were used lately."""

    folders: tuple[FolderView, ...]
    recent: tuple[str, ...] = Field(description="The last used first; at most 8.")
    chosen: ChosenFolders


def describe_folders(
    settings: BackendSettings, downloads: Path, recent: Sequence[str]
) -> FoldersView:
    """Say where everything goes, and whether it can."""
    workspace = settings.workspace
    chosen = read_chosen_folders(workspace)
    elsewhere = "opd serve --workspace FOLDER"
    hub = f"HF_HOME=FOLDER opd serve --workspace {shlex.quote(str(workspace))}"
    picker = None if chosen.picker is None else Path(chosen.picker)
    told = (
        _view(settings, "runs", settings.runs, elsewhere),
        _view(settings, "data", workspace / "prompt_sets", elsewhere),
        _view(settings, "models", downloads, hub),
        _view(settings, "exports", exports_folder(workspace), None, chosen.exports is not None),
        _view(settings, "picker", picker, None, picker is not None),
    )
    return FoldersView(folders=told, recent=tuple(recent), chosen=chosen)


def choose_folders(settings: BackendSettings, wanted: ChosenFolders) -> None:
    """Keep what the user has chosen, once it can be used.

    Raises:
        WrongFieldError: a folder is missing, cannot be written to, or is on a full disk.
    """
    kept = ChosenFolders(
        exports=_usable(settings, "exports", wanted.exports),
        picker=_usable(settings, "picker", wanted.picker),
    )
    write_chosen_folders(settings.workspace, kept)


def check_room(folder: Path, expected_bytes: int) -> None:
    """Raise where a folder's disk has no room for so much and some to spare.

    Raises:
        DiskFullError: there is no room.
    """
    free = shutil.disk_usage(_nearest(folder)).free
    if expected_bytes + SPARE_BYTES > free:
        raise DiskFullError(
            f"The export needs about {expected_bytes / 1e9:.1f} GB while it is written, and "
            f"the disk of {folder} has {free / 1e9:.1f} GB left.",
            "Free some space, choose another folder for exports, or export the adapter alone.",
        )


def _usable(settings: BackendSettings, key: ChosenKey, text: str | None) -> str | None:
    """The folder as it is kept; an empty one is none."""
    if text is None or not text.strip():
        return None
    try:
        folder = picked_folder(text.strip())
    except PathError as error:
        raise WrongFieldError(f"body.{key}", f"{error.message} {error.action}") from error
    problem = _problem(settings, key, folder) or (_unwritable(folder) if key == "exports" else None)
    if problem is not None:
        raise WrongFieldError(f"body.{key}", problem)
    return str(folder)


def _view(
    settings: BackendSettings,
    key: Literal["runs", "data", "models", "exports", "picker"],
    folder: Path | None,
    command: str | None,
    is_chosen: bool = False,
) -> FolderView:
    usage = None if folder is None else shutil.disk_usage(_nearest(folder))
    return FolderView(
        key=key,
        path=None if folder is None else str(folder),
        is_chosen=is_chosen,
        free_gb=None if usage is None else usage.free / 1e9,
        total_gb=None if usage is None else usage.total / 1e9,
        problem=None if folder is None else _problem(settings, key, folder, is_chosen),
        command=command,
    )


def _problem(
    settings: BackendSettings, key: str, folder: Path, is_chosen: bool = True
) -> str | None:
    """What is wrong with a folder; one that is not chosen is made when it is needed."""
    if is_chosen and not folder.is_dir():
        return "It is not there. Connect its disk, or choose another one."
    if not os.access(_nearest(folder), os.R_OK | os.X_OK):
        return "It may not be looked into. Choose another one, or change its rights."
    if key == "picker":
        return None
    if not os.access(_nearest(folder), os.W_OK):
        return "It cannot be written to. Choose another one, or change its rights."
    reserve, free = load_reserves(settings).disk_gb, shutil.disk_usage(_nearest(folder)).free / 1e9
    if free < reserve:
        return f"Its disk has {free:.1f} GB left, and {reserve:g} GB are to stay free."
    return None


def _unwritable(folder: Path) -> str | None:
    """Whether a file can be made in it, tried: rights alone do not say it of every disk."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"It cannot be written to ({error.strerror}). Choose another one."


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())
