"""Folders that the user has chosen, as the command line and the screen read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.errors import InputError
from OnPolicyDistill.runs.chosen_folders import (
    FOLDERS_FILE,
    ChosenFolders,
    exports_folder,
    new_export,
    read_chosen_folders,
    write_chosen_folders,
)


def test_exports_go_into_the_workspace_until_another_folder_is_chosen(tmp_path: Path) -> None:
    workspace, elsewhere = tmp_path / "workspace", tmp_path / "elsewhere"
    workspace.mkdir()
    elsewhere.mkdir()
    assert new_export(workspace, "a") == workspace / "exports" / "a"
    write_chosen_folders(workspace, ChosenFolders(exports=str(elsewhere)))
    assert new_export(workspace, "a") == elsewhere / "a"
    (elsewhere / "a").mkdir()
    (elsewhere / "a-2").mkdir()
    assert new_export(workspace, "a") == elsewhere / "a-3"


def test_a_chosen_folder_that_is_away_is_not_made_anew(tmp_path: Path) -> None:
    gone = tmp_path / "a disk that is away"
    write_chosen_folders(tmp_path, ChosenFolders(exports=str(gone)))
    with pytest.raises(InputError, match="is not there"):
        new_export(tmp_path, "a")
    assert not gone.exists()


@pytest.mark.parametrize("text", ["", "{", '{"exports": 7}', '{"exports": null, "more": 1}'])
def test_a_damaged_file_counts_as_nothing_chosen(tmp_path: Path, text: str) -> None:
    (tmp_path / FOLDERS_FILE).write_text(text)
    assert read_chosen_folders(tmp_path) == ChosenFolders()
    assert exports_folder(tmp_path) == tmp_path / "exports"
