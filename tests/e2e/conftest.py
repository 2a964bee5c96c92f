"""A school of tiny models, and real processes around it: a backend, its workers, its readers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from backend.supervisor.slot import load_slot
from benchmarks.backend_process import BackendProcess, start_backend
from OnPolicyDistill.runs.directory import RunDirectory, list_runs
from tests.trainers.conftest import Classroom, classroom, school

__all__ = ["classroom", "school"]

Json = dict[str, object]
AUDITED = Path(__file__).parent / "audited"
SIGNALS_FILE = "signals.txt"


@dataclass
class Stage:
    """A workspace with tiny models, and the backend that serves it at the moment."""

    classroom: Classroom
    backend: BackendProcess = field(init=False)

    def __post_init__(self) -> None:
        self.raise_backend()

    @property
    def workspace(self) -> Path:
        return self.classroom.root

    def raise_backend(self) -> None:
        self.backend = start_backend(self.workspace)

    def restart_backend(self) -> None:
        self.backend.kill()
        self.raise_backend()

    def config(self, **settings: object) -> Json:
        root = self.workspace
        values: Json = {
            "teacher_model": str(root / "teacher"),
            "student_model": str(root / "student"),
            "prompts": str(root / "prompts.jsonl"),
            "validation_prompts": str(root / "validation.jsonl"),
            "num_steps": 6,
            "gradient_accumulation_steps": 1,
            "learning_rate": 0.01,
            "max_generation_tokens": 8,
            "eval_every": 20,
            "checkpoint_every": 3,
            "lora": {"rank": 4, "alpha": 8},
            "grad_checkpoint": False,
            "early_stop_patience": 1000,
            **settings,
        }
        return {"distillation": values}

    def create(self, start: bool = True, **settings: object) -> RunDirectory:
        body = {"config": self.config(**settings), "start": start}
        answer = self.backend.ask("/runs", body)
        assert answer.status_code == 201, answer.text
        return RunDirectory(self.workspace / "runs" / str(answer.json()["run_id"]))

    def do(self, run: RunDirectory, action: str) -> None:
        answer = self.backend.ask(f"/runs/{run.run_id}/{action}", {})
        assert answer.status_code == 200, answer.text

    def detail(self, run: RunDirectory) -> dict[str, Json]:
        answer = self.backend.ask(f"/runs/{run.run_id}")
        assert answer.status_code == 200, answer.text
        return cast("dict[str, Json]", answer.json())

    def state(self, run: RunDirectory) -> str:
        return str(self.detail(run)["run"]["state"])

    def until(self, run: RunDirectory, *states: str) -> None:
        wait_until(lambda: self.state(run) in states, f"{run.run_id} to be {' or '.join(states)}")

    def until_step(self, run: RunDirectory, step: int) -> None:
        wait_until(lambda: cast("int", self.detail(run)["run"]["step"]) >= step, f"step {step}")

    def signals(self) -> list[int]:
        """Every signal that a process of this stage has sent, in order; the tests' own are not."""
        file = self.workspace / SIGNALS_FILE
        return [int(line) for line in file.read_text().split()] if file.is_file() else []

    def kill_worker(self) -> bool:
        """Kill the supervisor's worker, whatever it does; returns whether there was one."""
        active = load_slot(self.workspace).active
        if active is None or active.worker is None or not active.worker.is_alive():
            return False
        with suppress(ProcessLookupError):
            os.killpg(active.worker.pid, signal.SIGKILL)
        return True

    def close(self) -> None:
        self.backend.kill()
        self.kill_worker()
        for run in list_runs(self.workspace):
            worker = run.worker()
            if worker is not None and worker.is_alive():
                os.kill(worker.pid, signal.SIGKILL)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 400.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.1)


@pytest.fixture
def stage(classroom: Classroom, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage whose processes send no SIGKILL, whatever a story does with them."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(AUDITED), str(AUDITED.parents[2])]))
    monkeypatch.setenv("OPD_TEST_SIGNALS", str(classroom.root / SIGNALS_FILE))
    stage = Stage(classroom)
    yield stage
    stage.close()
    assert signal.SIGKILL not in stage.signals()
