"""A pipeline is a folder, as a run is: whoever looks at it reads that folder and disturbs nothing.

<workspace>/pipelines/<id>/
config.yaml      the pipeline with every setting of every stage
state.json       which run each stage is, and how far the pipeline came; replaced whole
worker.json      the process that works on it, and `pipeline.lock` which it holds
log.txt          that process's own output, where the screen started it
table.*          the final table: json, csv, txt, png (table.py)

The stages' runs lie among all others in <workspace>/runs.
"""

from __future__ import annotations

import fcntl
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import psutil
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from OnPolicyDistill.errors import InputError, RunError
from OnPolicyDistill.files import write_text_atomically
from OnPolicyDistill.pipelines.reading import Source, parse_pipeline
from OnPolicyDistill.runs.directory import RunDirectory, Worker
from OnPolicyDistill.settings.pipeline import PipelineSettings

PIPELINES = "pipelines"
LATEST = "latest"

StageState = Literal["waiting", "running", "paused", "failed", "finished"]
# A pipeline is interrupted where its log says running and no process works on it.
PipelineState = Literal["created", "running", "paused", "failed", "finished", "interrupted"]


class Record(BaseModel):
    """A value in state.json."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StageRecord(Record):
    """What became of a stage; `key` says what its run was made from (keys.py)."""

    name: str
    state: StageState = "waiting"
    run_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,79}$")] | None = None
    key: str | None = None
    taken_over: bool = Field(False, description="Its run was finished by an earlier pipeline.")
    forecast_seconds: float | None = Field(None, description="By the plan, before it began.")
    seconds: float | None = Field(None, description="Its run's active time, once it is finished.")


class PipelineRecord(Record):
    """How far a pipeline came; `message` and `action` say why it does not go on by itself."""

    state: Literal["created", "running", "paused", "failed", "finished"] = "created"
    stages: tuple[StageRecord, ...] = ()
    message: str = ""
    action: str = ""
    is_fresh: bool = Field(False, description="Takes no runs over from earlier pipelines.")


@dataclass(frozen=True, slots=True)
class PipelineDirectory:
    """Paths of one pipeline and the few facts that are read from them."""

    path: Path

    @property
    def pipeline_id(self) -> str:
        """The folder's name."""
        return self.path.name

    @property
    def workspace(self) -> Path:
        """The workspace that it lies in."""
        return self.path.parent.parent

    @property
    def config_file(self) -> Path:
        """The settled pipeline, as YAML."""
        return self.path / "config.yaml"

    @property
    def state_file(self) -> Path:
        """How far it came."""
        return self.path / "state.json"

    @property
    def worker_file(self) -> Path:
        """Who works on it."""
        return self.path / "worker.json"

    @property
    def log_file(self) -> Path:
        """Output of a process that the screen started."""
        return self.path / "log.txt"

    def settings(self) -> PipelineSettings:
        """Read the pipeline's settings.

        Raises:
            ConfigError: somebody changed them to something that is none.
        """
        return parse_pipeline(self.source())

    def source(self) -> Source:
        """The text of the settings, for errors that name a line."""
        return Source(self.config_file.read_text(encoding="utf-8"), str(self.config_file))

    def record(self) -> PipelineRecord:
        """Read how far it came.

        Raises:
            RunError: the file is damaged.
        """
        try:
            return PipelineRecord.model_validate_json(self.state_file.read_bytes())
        except FileNotFoundError:
            return PipelineRecord()
        except (OSError, ValidationError) as error:
            raise RunError(
                f"{self.state_file} cannot be read.",
                "Delete it: stages whose runs are finished are found by their settings.",
            ) from error

    def keep(self, record: PipelineRecord) -> None:
        """Write how far it came, whole or not at all."""
        write_text_atomically(self.state_file, record.model_dump_json(indent=1))

    def run(self, run_id: str) -> RunDirectory:
        """A stage's run."""
        return RunDirectory(self.workspace / "runs" / run_id)

    def worker(self) -> Worker | None:
        """The process that works on it now, or None."""
        try:
            worker = Worker.model_validate_json(self.worker_file.read_bytes())
        except (OSError, ValidationError):
            return None
        return worker if worker.is_alive() else None

    def state(self, record: PipelineRecord) -> PipelineState:
        """What it does now, by its record and its process."""
        if self.worker() is not None:
            return "running"
        return "interrupted" if record.state == "running" else record.state

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Hold the pipeline for this process.

        Raises:
            RunError: another process works on it.
        """
        with (self.path / "pipeline.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(
                    f"Pipeline {self.pipeline_id} is being worked on by another process.",
                    "Wait for it or pause it first.",
                ) from None
            me = psutil.Process()
            worker = Worker(pid=me.pid, started=me.create_time())
            write_text_atomically(self.worker_file, worker.model_dump_json())
            try:
                yield
            finally:
                self.worker_file.unlink(missing_ok=True)


def create_pipeline(
    workspace: Path, settings: PipelineSettings, is_fresh: bool = False
) -> PipelineDirectory:
    """Make the folder of a settled pipeline; nothing runs yet."""
    parent = workspace / PIPELINES
    parent.mkdir(parents=True, exist_ok=True)
    while True:
        stamp = time.strftime("%Y%m%d_%H%M%S")
        pipeline = PipelineDirectory(parent / f"pipeline_{stamp}_{secrets.token_hex(2)}")
        try:
            pipeline.path.mkdir()
        except FileExistsError:
            continue
        break
    stages = tuple(StageRecord(name=stage.name) for stage in settings.stages)
    pipeline.keep(PipelineRecord(stages=stages, is_fresh=is_fresh))
    write_text_atomically(pipeline.config_file, dump_pipeline(settings))
    return pipeline


def dump_pipeline(settings: PipelineSettings) -> str:
    """Write a pipeline as YAML."""
    values = settings.model_dump(mode="json", by_alias=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def list_pipelines(workspace: Path) -> list[PipelineDirectory]:
    """Return every pipeline of a workspace, newest first."""
    parent = workspace / PIPELINES
    if not parent.is_dir():
        return []
    found = [PipelineDirectory(path) for path in parent.iterdir() if not path.is_symlink()]
    whole = [pipeline for pipeline in found if pipeline.config_file.is_file()]
    return sorted(whole, key=lambda pipeline: pipeline.pipeline_id, reverse=True)


def find_pipeline(workspace: Path, name: str) -> PipelineDirectory:
    """Return a pipeline by its id, by a beginning of it, or the latest.

    Raises:
        InputError: there is no such pipeline, or more than one.
    """
    known = list_pipelines(workspace)
    if name == LATEST and known:
        return known[0]
    matches = [pipeline for pipeline in known if name and pipeline.pipeline_id.startswith(name)]
    exact = [pipeline for pipeline in matches if pipeline.pipeline_id == name]
    if not known:
        message = f"No pipeline in {workspace} matches {name!r}: there is none yet."
        raise InputError(message, "Try: opd demo pipeline.")
    if len(exact or matches) != 1:
        found = f"More than one pipeline ({len(matches)})" if matches else "No pipeline"
        raise InputError(
            f"{found} in {workspace} matches {name!r}.", "List them: opd pipeline list."
        )
    return (exact or matches)[0]
