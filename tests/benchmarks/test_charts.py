"""The chart benchmark asks a real backend, at a tiny scale."""

from __future__ import annotations

from pathlib import Path

from benchmarks.charts import Setting, measure


def test_every_chart_is_answered_before_and_after_a_restart(tmp_path: Path) -> None:
    found = measure(tmp_path / "a workspace", Setting(1000, 20, 100), restarts=1)
    assert found["log_megabytes"] > 0.256
    assert list((tmp_path / "a workspace" / "digests").iterdir())
    assert found["first_ms"]["median"] > 0
