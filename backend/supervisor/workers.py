"""Worker processes: started in a session of their own, known by pid and start time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping

import psutil

from backend.settings import BackendSettings
from backend.supervisor.slot import Verb
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.runs.directory import Control, RunDirectory, Worker

SECRET_VARIABLES = ("OPD_TOKEN",)
# They make a program draw progress bars and colours into a file, as if it were a terminal.
TERMINAL_VARIABLES = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def start_worker(
    settings: BackendSettings, run: RunDirectory, verb: Verb, more: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], Worker]:
    """Start `train` or `resume` for a run, with `more` in its environment; output in log.txt."""
    which = ["--run", run.run_id] if verb == "train" else [run.run_id]
    command = [*settings.worker_command, verb, *which, "--workspace", str(settings.workspace)]
    withheld = SECRET_VARIABLES + TERMINAL_VARIABLES
    environment = {key: value for key, value in os.environ.items() if key not in withheld}
    with run.log_file.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, "PYTHONUNBUFFERED": "1", **more},
            start_new_session=True,
        )
    return process, _identify(process.pid)


def _identify(pid: int) -> Worker:
    try:
        return Worker(pid=pid, started=psutil.Process(pid).create_time())
    except psutil.Error:
        return Worker(pid=pid, started=time.time())


def ask(run: RunDirectory, worker: Worker, control: Control) -> None:
    """Ask a worker to pause or to finish; does nothing to a process that is gone."""
    write_text_atomically(run.control_file, control.model_dump_json())
    _signal(worker, signal.SIGTERM, whole_group=False)


def kill(worker: Worker) -> None:
    """End a worker and all its children at once."""
    _signal(worker, signal.SIGKILL, whole_group=True)


def _signal(worker: Worker, number: signal.Signals, whole_group: bool) -> None:
    if not worker.is_alive():
        return
    try:
        # A worker started in a terminal shares the terminal's group: that one is not ours.
        if whole_group and os.getpgid(worker.pid) == worker.pid:
            os.killpg(worker.pid, number)
        else:
            os.kill(worker.pid, number)
    except ProcessLookupError:
        return
