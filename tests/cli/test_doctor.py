"""The doctor looks at everything, says what to do, and fails only where nothing can work."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import mlx.core as mx
import pytest

from OnPolicyDistill import arrays
from OnPolicyDistill.cli import accelerators
from OnPolicyDistill.cli.accelerators import Graphics
from OnPolicyDistill.cli.device import load_mlx
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
        "wheel",
        "accelerators",
        "tf32",
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
    facts = outcome.json()
    assert isinstance(facts, dict)
    lines = facts["diagnoses"]
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


def test_the_json_says_how_mlx_computes_here(opd: Opd) -> None:
    facts = opd("doctor", "--json").json()
    assert isinstance(facts, dict)
    assert facts["tf32"] is False
    assert isinstance(facts["accelerators"], bool)
    assert 0.01 < facts["footprint_gb"] < 50
    assert "mlx-" in facts["wheel"]
    assert set(facts) == {"tf32", "accelerators", "footprint_gb", "macos", "wheel", "diagnoses"}


def test_a_wish_for_tf32_is_respected_and_told() -> None:
    """In a process of its own: MLX reads the wish once."""
    environment = {**os.environ, "MLX_ENABLE_TF32": "1"}
    command = [sys.executable, "-m", "OnPolicyDistill", "doctor", "--json"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    facts = json.loads(told.stdout)
    assert facts["tf32"] is True
    (line,) = [line for line in facts["diagnoses"] if line["name"] == "tf32"]
    assert line["status"] == "warn"
    assert "Unset it" in line["action"]


def test_commands_that_load_models_tell_of_a_wish_for_tf32(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_mlx()
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(arrays, "tf32_wanted", True)
    load_mlx()
    assert "MLX_ENABLE_TF32 is set in your environment" in capsys.readouterr().err


M5_MAX = "applegpu_g17s"


@pytest.mark.parametrize(
    ("graphics", "has", "uses", "advice"),
    [
        (Graphics(M5_MAX, "26.2", "macosx_26_0_arm64"), True, True, ""),
        (Graphics(M5_MAX, "16.3", "macosx_26_0_arm64"), True, True, ""),
        (Graphics(M5_MAX, "26.1", "macosx_26_0_arm64"), True, False, "Update macOS"),
        (Graphics(M5_MAX, "15.6", "macosx_15_0_arm64"), True, False, "Update macOS"),
        (Graphics(M5_MAX, "26.3", "macosx_15_0_arm64"), True, False, "make setup"),
        (Graphics("applegpu_g18d", "27.0", "macosx_26_0_arm64"), True, True, ""),
        (Graphics("applegpu_g16s", "26.2", "macosx_26_0_arm64"), False, False, ""),
        (Graphics("applegpu_g17p", "26.2", "macosx_26_0_arm64"), False, False, ""),
        (Graphics("", "", "manylinux_2_35_x86_64"), False, False, ""),
    ],
)
def test_accelerators_need_the_gpu_the_system_and_the_wheel(
    graphics: Graphics, has: bool, uses: bool, advice: str
) -> None:
    assert (graphics.has_accelerators, graphics.uses_accelerators) == (has, uses)
    assert advice in graphics.obstacle
    assert bool(advice) == bool(graphics.obstacle)


def test_an_m5_with_an_old_wheel_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """MLX as it would answer on an M5 Max whose Python holds the wheel for macOS 15."""
    monkeypatch.setattr(mx.metal, "is_available", lambda: True)
    monkeypatch.setattr(mx, "device_info", lambda: {"architecture": M5_MAX, "device_name": "M5"})
    monkeypatch.setattr(platform, "mac_ver", lambda: ("26.2", ("", "", ""), "arm64"))
    monkeypatch.setattr(
        accelerators, "installed_wheel", lambda: ("mlx-metal 0.32.4", "macosx_15_0_arm64")
    )
    (line,) = [line for line in examine(tmp_path, online=False) if line.name == "accelerators"]
    assert line.status == "warn"
    assert "three times slower" in line.found
    assert "macosx_26_0" in line.action
