"""A run killed at a random moment and resumed ends with the bytes of one that never was."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

import pytest

from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.log import last_event, read_events

WORKER = """
import sys
import OnPolicyDistill.arrays
from pathlib import Path
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.trainers.on_policy import train
run = RunDirectory(Path(sys.argv[1]))
train(run, checkpoint=last_checkpoint(run))
"""


class Classroom(Protocol):
    root: Path

    def create(self, **settings: object) -> RunDirectory: ...


def work(run: RunDirectory, kill_after: float | None) -> int:
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(run.path)])
    if kill_after is not None:
        started = time.monotonic()
        while process.poll() is None and not run.events_file.exists():
            time.sleep(0.005)
        time.sleep(kill_after)
        assert time.monotonic() - started < 60
        process.send_signal(signal.SIGKILL)
    return process.wait(timeout=120)


@pytest.mark.parametrize(
    ("seed", "changes"), [(1, {}), (2, {"rollout_reuse": 4, "loss_tokens": "auto"})]
)
def test_a_killed_run_resumes_to_the_same_bytes(
    classroom: Classroom, seed: int, changes: dict[str, object]
) -> None:
    settings = {"num_steps": 12, "checkpoint_every": 3, "eval_every": 6, "keep_checkpoints": 5}
    settings |= changes
    whole = classroom.create(**settings)
    assert work(whole, None) == 0
    broken = classroom.create(**settings)
    moments = random.Random(seed)
    for _ in range(2):
        work(broken, moments.uniform(0.3, 1.5))
        if broken.state() == "finished":
            break
        assert broken.state() == "interrupted"
    assert work(broken, None) == 0
    ended = last_event(broken.events_file)
    assert ended is not None
    assert ended.kind == "run_finished"
    seqs = [event.seq for event in read_events(broken.events_file)]
    assert seqs == list(range(len(seqs)))
    first, second = last_checkpoint(whole), last_checkpoint(broken)
    assert first is not None
    assert second is not None
    for name in ("adapters.safetensors", "optimizer.safetensors"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
