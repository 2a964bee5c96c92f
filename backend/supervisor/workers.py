"""Worker processes: started in a session of their own, known by pid and start time."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

from backend.settings import BackendSettings
from backend.supervisor.ending import ask_to_end
from OnPolicyDistill.files import open_to_append, write_text_atomically
from OnPolicyDistill.runs.directory import Control, RunDirectory, Worker
from OnPolicyDistill.runs.workers import identify, worker_environment


def start_worker(
    settings: BackendSettings, run: RunDirectory, words: Sequence[str], more: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], Worker]:
    """Start `train` or `resume` for a run, with `more` in its environment; output in log.txt.

    Options follow the verb in `words`.
    """
    verb, *options = words
    # Whether the memory is free was asked when its turn came.
    which = ["--run", run.run_id] if verb == "train" else [run.run_id, "--anyway"]
    command = [*settings.worker_command, verb, *which, *options]
    command += ["--workspace", str(settings.workspace)]
    with open_to_append(run.log_file) as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=worker_environment(more),
            start_new_session=True,
        )
    return process, identify(process.pid)


def ask(run: RunDirectory, worker: Worker, control: Control) -> None:
    """Ask a worker to pause or to finish; does nothing to a process that is gone."""
    write_text_atomically(run.control_file, control.model_dump_json())
    ask_to_end(worker)
