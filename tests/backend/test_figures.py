"""What the screen is told of memory."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from backend.system.figures import SystemSampler
from OnPolicyDistill import macos


def test_on_a_mac_the_screen_shows_footprints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    footprints = {os.getpid(): 1_000_000_000, 4711: 48_000_000_000}
    monkeypatch.setattr(macos, "is_mac", lambda: True)
    monkeypatch.setattr(macos, "_footprint", footprints.__getitem__)
    monkeypatch.setattr(psutil, "Process", _Process)
    figures = SystemSampler(tmp_path).sample(worker_pid=4711)
    assert (figures.backend_memory_gb, figures.worker_memory_gb) == (1.0, 48.0)


class _Process:
    """A worker as psutil knows it; Metal's buffers are not in its resident set."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_percent(self, _: None) -> float:
        return 12.0


def test_elsewhere_the_screen_shows_resident_sets(tmp_path: Path) -> None:
    figures = SystemSampler(tmp_path).sample(worker_pid=os.getpid())
    resident = psutil.Process().memory_info().rss / 1e9
    assert figures.backend_memory_gb == pytest.approx(resident, rel=0.1)
    assert figures.worker_memory_gb == pytest.approx(resident, rel=0.1)
