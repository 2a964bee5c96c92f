"""A served teacher in a process of its own, as `opd serve-teacher` starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOKEN = "a-token-of-the-tests-0123456789"
ROOT = Path(__file__).parents[2]


@contextmanager
def served(model: str, *options: str) -> Iterator[str]:
    """Serve a model on the loopback until the block ends; yields the address."""
    command = [sys.executable, "-m", "backend.command", "serve-teacher", model, "--json", *options]
    environment = {**os.environ, "OPD_TEACHER_TOKEN": TOKEN}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            assert "token" not in ready, "a token that was given is not shown"
            yield str(ready["url"])
        finally:
            process.terminate()
            process.wait(20)
    assert process.returncode == 0
