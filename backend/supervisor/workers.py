"""Worker processes: started in a session of their own, known by pid and start time."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping

import psutil

from backend.settings import BackendSettings
from backend.supervisor.ending import ask_to_end
from backend.supervisor.slot import Verb
from OnPolicyDistill.files import open_to_append, write_text_atomically
from OnPolicyDistill.runs.directory import Control, RunDirectory, Worker

SECRET_VARIABLES = ("OPD_TOKEN",)
# They make a program draw progress bars and colours into a file, as if it were a terminal.
TERMINAL_VARIABLES = ("FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


def start_worker(
    settings: BackendSettings, run: RunDirectory, verb: Verb, more: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], Worker]:
    """Start `train` or `resume` for a run, with `more` in its environment; output in log.txt."""
    # Whether the memory is free was asked when its turn came.
    which = ["--run", run.run_id] if verb == "train" else [run.run_id, "--anyway"]
    command = [*settings.worker_command, verb, *which, "--workspace", str(settings.workspace)]
    withheld = SECRET_VARIABLES + TERMINAL_VARIABLES
    environment = {key: value for key, value in os.environ.items() if key not in withheld}
    with open_to_append(run.log_file) as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, "PYTHONUNBUFFERED": "1", **more},
            start_new_session=True,
        )
    return process, identify(process.pid)


def identify(pid: int) -> Worker:
    """Name a process that was just started so that no later one is taken for it."""
    try:
        return Worker(pid=pid, started=psutil.Process(pid).create_time())
    except psutil.Error:
        return Worker(pid=pid, started=time.time())


def ask(run: RunDirectory, worker: Worker, control: Control) -> None:
    """Ask a worker to pause or to finish; does nothing to a process that is gone."""
    write_text_atomically(run.control_file, control.model_dump_json())
    ask_to_end(worker)
