"""The backend is started by its command and ends when asked: done, or stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backend.server import ServeOptions, announce, make_settings


def test_the_backend_says_where_it_serves_and_ends_on_an_interrupt(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "backend.command", "serve", "--json", "--workspace", str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    assert ready["ready"] is True
    assert ready["port"] > 0
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode in (0, 130)


def test_a_screen_that_is_not_built_is_said_where_the_address_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ServeOptions(workspace=tmp_path, open_browser=False)
    for pages, words in ((tmp_path / "none", "not built yet: make build"), (built(tmp_path), "")):
        announce(options, replace(make_settings(options, 1234), frontend=pages))
        said = capsys.readouterr()
        assert "http://127.0.0.1:1234/?token=" in said.out
        assert words in said.err
        assert ("not built" in said.err) == bool(words)
        assert "Ctrl-C ends it" in said.err


def built(folder: Path) -> Path:
    (folder / "index.html").touch()
    return folder
