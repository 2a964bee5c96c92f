"""Folders that the user has chosen, in WORKSPACE/folders.json; else the workspace has its own."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import InputError, RunError
from OnPolicyDistill.files import disk_errors, make_private, read_plain, write_text_atomically

FOLDERS_FILE = "folders.json"
EXPORTS = "exports"
MAX_CHARACTERS = 4096


class ChosenFolders(BaseModel):
    """What the user has chosen; None leaves it to the workspace, or to the system."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exports: str | None = Field(
        None, max_length=MAX_CHARACTERS, description="Where exports are written; absolute."
    )
    picker: str | None = Field(
        None,
        max_length=MAX_CHARACTERS,
        description="Where the app's file picker opens; absolute. None: where it was last.",
    )


def read_chosen_folders(workspace: Path) -> ChosenFolders:
    """What the user has chosen in a workspace; a damaged file counts as none."""
    try:
        return ChosenFolders.model_validate_json(read_plain(workspace / FOLDERS_FILE))
    except (FileNotFoundError, RunError, ValidationError):
        return ChosenFolders()


def write_chosen_folders(workspace: Path, chosen: ChosenFolders) -> None:
    """Keep what the user has chosen.

    Raises:
        DiskFullError: there is no room for it.
    """
    write_text_atomically(workspace / FOLDERS_FILE, chosen.model_dump_json(indent=1))


def exports_folder(workspace: Path) -> Path:
    """Where exports go that name no folder."""
    chosen = read_chosen_folders(workspace).exports
    return workspace / EXPORTS if chosen is None else Path(chosen)


def ready_exports_folder(workspace: Path) -> Path:
    """The same, and it is there; one that was chosen is never made, as its disk may be away.

    Raises:
        InputError: the folder that was chosen is not there.
        DiskFullError: there is no room for the workspace's own.
    """
    folder = exports_folder(workspace)
    if read_chosen_folders(workspace).exports is None:
        with disk_errors(folder):
            make_private(folder)
    elif not folder.is_dir():
        raise InputError(
            f"The folder for exports {folder} is not there.",
            "Connect its disk, choose another one in the settings, or give opd export an --out.",
        )
    return folder


def new_export(workspace: Path, name: str) -> Path:
    """A folder for an export that names none: one that does not exist yet, in a folder that does.

    Raises:
        InputError, DiskFullError: as in `ready_exports_folder`.
    """
    return free_name(ready_exports_folder(workspace), name)


def free_name(folder: Path, name: str) -> Path:
    """A folder of this name that does not exist yet: with a number behind it where it does."""
    found, number = folder / name, 2
    while found.exists():
        found, number = folder / f"{name}-{number}", number + 1
    return found
