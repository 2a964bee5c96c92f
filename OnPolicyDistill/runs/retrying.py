"""Going on after macOS ended a run's work on the GPU: when, how often, and what the log says of it.

Whoever started the process decides, since a process that Metal failed is finished and one that was
aborted can say nothing: the backend's supervisor for its workers, the command for a terminal.
A run is taken up again three times at most without keeping anything new in between: one that gets
on, if slowly, goes on for as long as it does. Command buffers get shorter each time and stay short.
"""

from __future__ import annotations

import os
from contextlib import closing

from pydantic import BaseModel, ConfigDict, Field

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.gpu import WATCHED_VARIABLE, GpuFailure, find_gpu_failure, shorter_buffers
from OnPolicyDistill.runs.checkpoints import last_checkpoint
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import Event, RunFailed, step_of
from OnPolicyDistill.runs.log import last_event
from OnPolicyDistill.runs.reporting import Reporter

MAX_TRIES = 3
# What a resume takes up beside checkpoints: answers, predictions, completions.
KEPT_WORK = ("generated/*", "evaluation/*", "completions.jsonl")


class Tries(BaseModel):
    """How often a run was taken up again since somebody started it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    total: int = 0
    in_vain: int = Field(0, description="Of them, the last ones that kept nothing new.")
    kept_step: int = Field(0, description="Newest checkpoint at the last failure.")
    kept_bytes: int = Field(0, description="Other work that was kept at the last failure.")

    def environment(self) -> dict[str, str]:
        """What the process of this try gets in its environment."""
        return {WATCHED_VARIABLE: "1", **shorter_buffers(self.total, os.environ)}


def next_try(run: RunDirectory, tries: Tries, output: str) -> Tries | None:
    """Decide whether a run whose process is gone is taken up again, and write either in its log.

    `output` is what the process wrote last. None where the GPU had no part in its end, where the
    same work would fail again, and after three tries in vain; only then is the run failed.
    """
    failure = find_gpu_failure(output)
    if failure is None or not failure.passes:
        return None
    try:
        event = last_event(run.events_file)
        if event is not None and event.kind in ("run_finished", "run_paused", "run_failed"):
            return None
        again = _after(run, tries)
        if event is not None:
            _tell(run, event, failure, again)
    except RunError:
        return None  # somebody else works on it, or its log is damaged
    return again if again.in_vain <= MAX_TRIES else None


def _after(run: RunDirectory, tries: Tries) -> Tries:
    step, num_bytes = saved_step(run), _kept_bytes(run)
    gets_on = (step, num_bytes) > (tries.kept_step, tries.kept_bytes)
    in_vain = 1 if gets_on or tries.total == 0 else tries.in_vain + 1
    return Tries(total=tries.total + 1, in_vain=in_vain, kept_step=step, kept_bytes=num_bytes)


def saved_step(run: RunDirectory) -> int:
    """Return the step of a run's newest checkpoint; 0 where a resume begins anew."""
    checkpoint = last_checkpoint(run)
    return 0 if checkpoint is None else int(checkpoint.name)


def _kept_bytes(run: RunDirectory) -> int:
    files = [file for pattern in KEPT_WORK for file in run.path.glob(pattern)]
    return sum(file.stat().st_size for file in files if file.is_file())


def _tell(run: RunDirectory, last: Event, failure: GpuFailure, again: Tries) -> None:
    """Say in the log what happened and what comes of it, in the place of the process that died."""
    code, action, step = failure.cause, failure.action, step_of(last)
    with run.occupied(), closing(Reporter(run)) as reporter:
        reporter.step = step
        if again.in_vain <= MAX_TRIES:
            goes_on = (
                f"It goes on by itself from step {again.kept_step} with shorter command buffers "
                f"(try {again.in_vain} of {MAX_TRIES})."
            )
            reporter.warn(code, f"{failure.message} {goes_on}", action)
        else:
            words = f"{failure.message} It was taken up again {MAX_TRIES} times in vain."
            reporter.emit(RunFailed(step=step, code=code, message=words, action=action))
