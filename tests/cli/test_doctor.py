"""The doctor looks at everything, says what to do, and fails only where nothing can work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from OnPolicyDistill.cli.doctor import examine

if TYPE_CHECKING:
    from tests.cli.conftest import Opd


def test_every_line_is_named_once_and_bad_ones_say_what_to_do(tmp_path: Path) -> None:
    diagnoses = list(examine(tmp_path, online=False))
    names = [diagnosis.name for diagnosis in diagnoses]
    assert names == [
        "python",
        "packages",
        "device",
        "blas",
        "memory",
        "workspace",
        "disk",
        "screen",
    ]
    for diagnosis in diagnoses:
        assert diagnosis.found
        assert (diagnosis.status == "ok") == (diagnosis.action == "")


def test_this_machine_can_do_the_work(opd: Opd) -> None:
    outcome = opd("doctor", "--json")
    assert outcome.exit_code == 0
    lines = outcome.json()
    assert isinstance(lines, list)
    assert not [line for line in lines if line["status"] == "fail"]


def test_a_workspace_that_cannot_be_written_fails(opd: Opd, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    outcome = opd("doctor", "--workspace", str(file / "inside"))
    assert outcome.exit_code == 1
    (line,) = [line for line in outcome.out.splitlines() if "workspace" in line]
    assert line.startswith("fail")
    assert "--workspace" in line


def test_nothing_is_left_in_the_workspace(tmp_path: Path) -> None:
    list(examine(tmp_path, online=False))
    assert list(tmp_path.iterdir()) == []
