"""The backend is started by its command and ends when asked: done, or stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path


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
