"""Which build of MLX a checkout and a package start with, as far as another system can tell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def recipe_on(version: str, folder: Path) -> tuple[str, str]:
    """What `make setup` would choose wheels by on this macOS, and what it tells Pythons there."""
    told = folder / "sw_vers"
    told.write_text(f"#!/bin/sh\necho {version}\n")
    told.chmod(0o755)
    makefile = folder / "Makefile"
    makefile.write_text(
        f"include {ROOT / 'Makefile'}\n"
        "told:\n\t@echo [$(WHEELS)] $$MACOSX_DEPLOYMENT_TARGET $$SYSTEM_VERSION_COMPAT\n"
    )
    environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    command = ["make", "--no-print-directory", "-f", str(makefile), "told"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    wheels, _, rest = done.stdout.strip().partition("]")
    return wheels.removeprefix("["), rest.strip()


@pytest.mark.parametrize("version", ["26.0", "26.0.1", "26.1"])
def test_a_mac_that_the_newest_wheel_installs_on_but_does_not_run_gets_the_one_before(
    version: str, tmp_path: Path
) -> None:
    assert recipe_on(version, tmp_path) == ("--python-platform aarch64-apple-darwin", "15.0 0")


@pytest.mark.parametrize("version", ["14.6", "15.5", "26.2", "26.10", "27.0"])
def test_any_other_mac_gets_the_wheel_that_its_real_version_chooses(
    version: str, tmp_path: Path
) -> None:
    assert recipe_on(version, tmp_path) == ("", "0")


def test_the_wheels_that_are_installed_follow_that_choice() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "pip sync --quiet --compile-bytecode $(WHEELS) requirements.lock" in recipe


def test_a_build_of_mlx_on_pythons_path_comes_before_the_installed_one(tmp_path: Path) -> None:
    # As the shell starts the accelerated build: `mlx` has no __init__, so Python joins its folders.
    (tmp_path / "mlx").mkdir()
    (tmp_path / "mlx" / "core.py").write_text("WHO = 'the other build'\n")
    (tmp_path / "mlx-0.dist-info").mkdir()
    (tmp_path / "mlx-0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: mlx\nVersion: 0\n"
    )
    code = (
        "import importlib.metadata, mlx.core, subprocess, sys\n"
        "print(mlx.core.WHO, importlib.metadata.version('mlx'), flush=True)\n"
        "subprocess.run([sys.executable, '-c', 'import mlx.core; print(mlx.core.WHO)'])"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["the other build 0", "the other build"]
