"""A pipeline at work: each stage is a run in a process of its own, and state.json says how far.

Before a stage begins its key is computed. A run with that key that is finished, in this pipeline or
an earlier one, stands for the stage; one that broke off is gone on with; else a new one is made. So
a pipeline that was killed goes on where it was, and a changed setting repeats its own stage and
those that go on from what it leaves.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from OnPolicyDistill.errors import DistillError, MemoryInUseError, RunError, StoppedError
from OnPolicyDistill.evaluation.labelled_report import FOLDER, REPORT
from OnPolicyDistill.pipelines.directory import (
    PipelineDirectory,
    PipelineRecord,
    StageRecord,
    list_pipelines,
)
from OnPolicyDistill.pipelines.keys import stage_key
from OnPolicyDistill.pipelines.process import COMMAND, Stop, work_on
from OnPolicyDistill.pipelines.stages import Stage, settle, stages_of
from OnPolicyDistill.pipelines.table import write_table
from OnPolicyDistill.planning.free_memory import find_shortage
from OnPolicyDistill.planning.starting import kept_forecast, plan_start
from OnPolicyDistill.runs.called import called
from OnPolicyDistill.runs.checkpoints import exported
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.runs.events import Event, RunFinished
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import last_event, read_events

WAIT_SECONDS = 1.0


class Watcher(Protocol):
    """Whoever is told what a pipeline does."""

    def begin(self, pipeline: PipelineDirectory) -> None:
        """Work on the pipeline begins."""

    def stage(self, number: int, stage: Stage, record: PipelineRecord) -> None:
        """A stage begins, goes on or is skipped; the record says which."""

    def event(self, event: Event) -> None:
        """The stage's run wrote an event."""

    def note(self, words: str) -> None:
        """Something that a person should know."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How stages are started; `anyway` starts them with less memory free than they need."""

    anyway: bool = False
    command: tuple[str, ...] = COMMAND


class Runner:
    """One process's work on a pipeline."""

    def __init__(
        self, pipeline: PipelineDirectory, watcher: Watcher, stop: Stop, launch: Launch
    ) -> None:
        self.pipeline = pipeline
        self._watcher = watcher
        self._stop = stop
        self._launch = launch
        self.stages = stages_of(settle(pipeline.settings(), pipeline.source()))
        self.record = _fitted(pipeline.record(), self.stages)

    def run(self) -> None:
        """Work on every stage that is not finished, then write the table.

        Raises:
            StoppedError: a stop was asked for; what was done is kept.
            RunError: a stage failed; those behind it are left alone.
        """
        with self.pipeline.occupied():
            refuse_beside_another(self.pipeline)
            with self._ending_told():
                self._watcher.begin(self.pipeline)
                self._forecast()
                for number, stage in enumerate(self.stages):
                    self._check_stop()
                    self._work(number, stage)
                write_table(self.pipeline, self.stages, self.record)
            self._keep(state="finished")

    def _work(self, number: int, stage: Stage) -> None:
        config = stage.settled(self._adapter_for(stage))
        key = stage_key(config)
        known = self.record.stages[number]
        done = self._finished(known, key, stage)
        if done is not None:
            is_own = done.run_id == known.run_id
            self._note(number, state="finished", key=key, run_id=done.run_id,
                       taken_over=known.taken_over if is_own else True,
                       seconds=active_seconds(done))  # fmt: skip
            self._watcher.stage(number, stage, self.record)
            return
        run = self._unfinished(known, key) or create_run(self.pipeline.workspace, config)
        self._let_wait(stage.name)
        self._note(number, state="running", key=key, run_id=run.run_id, taken_over=False)
        self._watcher.stage(number, stage, self.record)
        self._wait_for_room(run)
        work_on(run, self._watcher.event, self._stop, self._launch.command)
        self._note(number, state="finished", seconds=active_seconds(run))

    def _adapter_for(self, stage: Stage) -> Path | None:
        """The adapter that a stage goes on from."""
        if stage.start is None:
            return None
        start = next(one for one in self.record.stages if one.name == stage.start)
        assert start.run_id is not None, "stages go on from earlier ones"
        return adapter_of(self.pipeline.run(start.run_id))

    def _finished(self, known: StageRecord, key: str, stage: Stage) -> RunDirectory | None:
        """A finished run of that key: this pipeline's own, else an earlier pipeline's newest."""
        if known.key == key and known.run_id is not None:
            run = self.pipeline.run(known.run_id)
            if is_whole(run, stage, may_be_short=True):
                return run
        if self.record.is_fresh:
            return None
        candidates = (
            other.run(one.run_id)
            for other in list_pipelines(self.pipeline.workspace)
            for one in _record_of(other).stages
            if one.key == key and one.run_id is not None
        )
        return next((run for run in candidates if is_whole(run, stage)), None)

    def _unfinished(self, known: StageRecord, key: str) -> RunDirectory | None:
        """The run that this stage began and did not finish, unless what it is made from changed."""
        if known.key != key or known.run_id is None or known.taken_over:
            return None
        run = self.pipeline.run(known.run_id)
        return run if run.config_file.is_file() and run.state() != "finished" else None

    def _let_wait(self, name: str) -> None:
        """Whatever goes on from this stage is to be looked at again."""
        for number, stage in enumerate(self.stages):
            if stage.start == name and self.record.stages[number].state != "waiting":
                self._note(number, state="waiting")
                self._let_wait(stage.name)

    def _forecast(self) -> None:
        """Note what the plan says of stages that have not begun, for the time left."""
        for number, stage in enumerate(self.stages):
            known = self.record.stages[number]
            if known.forecast_seconds is None and known.state == "waiting":
                plan = plan_start(stage.config, self.pipeline.workspace)
                if plan is not None:
                    self._note(number, forecast_seconds=plan.seconds)
        self._keep(state="running", message="", action="")

    def _wait_for_room(self, run: RunDirectory) -> None:
        """Wait while another run has the GPU; refuse where the memory is not free.

        Raises:
            StoppedError: a stop was asked for meanwhile.
            MemoryInUseError: the stage needs more than is free.
        """
        told = ""
        while (other := run_at_work(self.pipeline.workspace, run)) is not None:
            if other != told:
                self._watcher.note(f"Run {other} is at work; this stage waits for its end.")
                told = other
            self._check_stop()
            time.sleep(WAIT_SECONDS)
        if self._launch.anyway or run.state() == "running":
            return
        forecast = kept_forecast(run)
        shortage = find_shortage(None if forecast is None else forecast.needed_gb)
        if shortage is not None:
            action = "Close what holds it and resume, or start with --anyway."
            raise MemoryInUseError(shortage.message, action)

    def _check_stop(self) -> None:
        if self._stop():
            raise StoppedError("The pipeline was stopped.")

    @contextmanager
    def _ending_told(self) -> Iterator[None]:
        """Write down why the work ends where it does before the end."""
        goes_on = f"Go on with: opd pipeline resume {self.pipeline.pipeline_id}"
        try:
            yield
        except (StoppedError, KeyboardInterrupt) as error:
            words = f"Pipeline {self.pipeline.pipeline_id} is paused{self._where()}."
            self._end_stage("paused")
            self._keep(state="paused", message=words, action=goes_on)
            raise StoppedError(words, goes_on) from error
        except MemoryInUseError as error:
            self._end_stage("paused")
            self._keep(state="paused", message=error.message, action=error.action)
            raise
        except DistillError as error:
            where = self._where()
            self._end_stage("failed")
            words = f"Pipeline {self.pipeline.pipeline_id} failed{where}: {error.message}"
            self._keep(state="failed", message=words, action=error.action)
            raise RunError(words, f"{error.action} {goes_on}".strip()) from error

    def _where(self) -> str:
        running = [one.name for one in self.record.stages if one.state == "running"]
        return f" in stage {running[0]}" if running else ""

    def _end_stage(self, state: str) -> None:
        for number, one in enumerate(self.record.stages):
            if one.state == "running":
                self._note(number, state=state)

    def _note(self, number: int, **changes: object) -> None:
        stages = list(self.record.stages)
        stages[number] = StageRecord.model_validate({**stages[number].model_dump(), **changes})
        self._keep(stages=tuple(stages))

    def _keep(self, **changes: object) -> None:
        self.record = self.record.model_copy(update=changes)
        self.pipeline.keep(self.record)


def adapter_of(run: RunDirectory) -> Path:
    """The adapter that a finished run hands on: of its best checkpoint, else of its last.

    Raises:
        RunError: it has none.
    """
    found = exported(run)
    if found is None:
        raise RunError(f"Run {called(run)} left no checkpoint to go on from.", "Delete it.")
    return found


def is_whole(run: RunDirectory, stage: Stage, may_be_short: bool = False) -> bool:
    """Whether a run is finished and what later stages need of it is there.

    One that its user finished early counts where it `may_be_short`.
    """
    if not run.config_file.is_file() or run.state() != "finished":
        return False
    end = last_event(run.events_file)
    if not may_be_short and isinstance(end, RunFinished) and end.because == "stopped":
        return False
    if stage.config.method == "evaluation":
        return (run.path / FOLDER / REPORT).is_file()
    return exported(run) is not None


def run_at_work(workspace: Path, but: RunDirectory) -> str | None:
    """The id of a run of the workspace that a process works on, other than `but`; or None."""
    for file in sorted((workspace / "runs").glob("*/worker.json")):
        run = RunDirectory(file.parent)
        worker = run.worker()
        if run.run_id != but.run_id and worker is not None and worker.is_alive():
            return run.run_id
    return None


def refuse_beside_another(pipeline: PipelineDirectory) -> None:
    """Refuse to work beside another pipeline of the workspace.

    Raises:
        RunError: there is one at work.
    """
    for other in list_pipelines(pipeline.workspace):
        if other.pipeline_id != pipeline.pipeline_id and other.worker() is not None:
            raise RunError(
                f"Pipeline {other.pipeline_id} is at work in this workspace.",
                "Wait for it or pause it first.",
            )


def active_seconds(run: RunDirectory) -> float:
    """How long processes worked on a run, without the pauses between them."""
    return fold(read_events(run.events_file)).active_seconds


def _record_of(pipeline: PipelineDirectory) -> PipelineRecord:
    """A pipeline's record; one that is damaged offers no runs."""
    try:
        return pipeline.record()
    except RunError:
        return PipelineRecord()


def _fitted(record: PipelineRecord, stages: tuple[Stage, ...]) -> PipelineRecord:
    """The record with exactly the stages that the settings have now."""
    known = {one.name: one for one in record.stages}
    fitted = tuple(known.get(stage.name, StageRecord(name=stage.name)) for stage in stages)
    return record.model_copy(update={"stages": fitted})
