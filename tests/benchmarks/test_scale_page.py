"""docs/scale.md says what the plan of several Macs says now."""

from pathlib import Path

import pytest
from huggingface_hub import constants

from benchmarks.scale_page import PAGE, page


def test_the_page_of_several_macs_is_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Models that are on this machine would be read from their files.
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(PAGE.parents[1])
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m benchmarks.scale_page"
