"""Where things go: told with the room there, and changed where the program can."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from backend.settings import BackendSettings
from backend.system.folders import check_room
from backend.system.reserves import Reserves, save_reserves
from OnPolicyDistill.errors import DiskFullError
from OnPolicyDistill.runs.chosen_folders import ChosenFolders, read_chosen_folders
from tests.backend.tiny import write_jsonl

PROC = Path("/proc").is_dir()


async def told(client: httpx.AsyncClient) -> dict[str, dict[str, object]]:
    answer = await client.get("/api/folders")
    assert answer.status_code == 200, answer.text
    return {folder["key"]: folder for folder in answer.json()["folders"]}


async def test_every_folder_is_told_with_its_room_and_what_changes_it(
    client: httpx.AsyncClient, settings: BackendSettings
) -> None:
    folders = await told(client)
    assert list(folders) == ["runs", "data", "models", "exports", "picker"]
    assert folders["runs"]["path"] == str(settings.runs)
    assert folders["exports"]["path"] == str(settings.workspace / "exports")
    assert folders["picker"]["path"] is None
    assert "HF_HOME" in str(folders["models"]["command"])
    assert "--workspace" in str(folders["runs"]["command"])
    assert folders["exports"]["command"] is None
    for key in ("runs", "data", "models", "exports"):
        assert float(str(folders[key]["total_gb"])) > 0
        assert folders[key]["problem"] is None, key


async def test_a_chosen_folder_is_kept_and_a_missing_one_is_told(
    client: httpx.AsyncClient, settings: BackendSettings, tmp_path: Path
) -> None:
    mine = tmp_path / "My exports"
    mine.mkdir()
    chosen = {"exports": str(mine), "picker": str(tmp_path)}
    answer = await client.put("/api/folders", json=chosen)
    assert answer.status_code == 200, answer.text
    assert answer.json()["chosen"] == chosen
    assert read_chosen_folders(settings.workspace) == ChosenFolders(**chosen)
    mine.rmdir()
    assert "not there" in str((await told(client))["exports"]["problem"])
    answer = await client.put("/api/folders", json={"exports": None, "picker": "  "})
    assert answer.json()["chosen"] == {"exports": None, "picker": None}
    assert not (await told(client))["exports"]["is_chosen"]


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/nothing/of/the/kind", "no folder"),
        ("relative", "not an absolute"),
        # Nobody can make a file there, whoever runs the tests; macOS has no such folder.
        pytest.param("/proc", "written", marks=pytest.mark.skipif(not PROC, reason="no /proc")),
    ],
)
async def test_a_folder_that_cannot_be_used_is_refused_at_once(
    client: httpx.AsyncClient, folder: str, words: str
) -> None:
    answer = await client.put("/api/folders", json={"exports": folder, "picker": None})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["location"] == "body.exports"
    assert words in error["message"]
    assert (await client.get("/api/folders")).json()["chosen"]["exports"] is None


async def test_a_folder_on_a_full_disk_is_refused_but_may_be_looked_into(
    client: httpx.AsyncClient, settings: BackendSettings, tmp_path: Path
) -> None:
    settings.workspace.mkdir(exist_ok=True)
    save_reserves(settings, Reserves(memory_gb=0, disk_gb=9e8))
    answer = await client.put("/api/folders", json={"exports": str(tmp_path), "picker": None})
    assert answer.status_code == 422
    assert "are to stay free" in answer.json()["errors"][0]["message"]
    answer = await client.put("/api/folders", json={"exports": None, "picker": str(tmp_path)})
    assert answer.status_code == 200
    assert "are to stay free" in str((await told(client))["runs"]["problem"])


async def test_folders_of_files_that_were_added_are_the_recent_ones(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        file = write_jsonl(tmp_path / name / "p.jsonl", [{"prompt": name}])
        assert (await client.post("/api/prompt-sets", json={"path": str(file)})).status_code == 201
    recent = (await client.get("/api/folders")).json()["recent"]
    assert recent == [str(tmp_path / "two"), str(tmp_path / "one")]


def test_room_is_looked_for_where_an_export_goes(tmp_path: Path) -> None:
    check_room(tmp_path / "made when it is needed", 1)
    with pytest.raises(DiskFullError, match="needs about"):
        check_room(tmp_path, 10**18)
