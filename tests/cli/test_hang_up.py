"""A terminal that is closed pauses what works in it, and nothing that is still said fails."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

SESSION = """
import fcntl, sys, termios, time
from pathlib import Path
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from OnPolicyDistill.cli.output import forget_terminal, print_note
from OnPolicyDistill.runs.reporting import StopRequest
stop = StopRequest(on_hang_up=forget_terminal)
with stop.on_signals():
    print_note("at work")
    while not stop():
        time.sleep(0.01)
    print_note("saving")
    Path(sys.argv[1]).write_text("saved")
"""


def test_a_closed_terminal_stops_the_work_without_an_error(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    saved = tmp_path / "checkpoint"
    process = subprocess.Popen(
        [sys.executable, "-c", SESSION, str(saved)], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    assert os.read(ours, 100).strip() == b"at work"
    os.close(ours)
    assert process.wait(60) == 0
    assert saved.read_text() == "saved"
