"""Starts, pauses and reads pipelines; while one is at work, the queue of runs waits for its end.

The process is the one that `opd pipeline resume` is in a terminal, and outlives this backend. It
waits for a run that is at work when it begins.
"""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path
from threading import Lock

from backend.backend import Backend
from backend.paths import check_named_paths, probe
from backend.pipelines.views import (
    DamagedPipeline,
    PipelineCreation,
    PipelineDetail,
    PipelineList,
    ShippedPipeline,
    TableFile,
)
from backend.problems import ConflictError, NotFoundError
from backend.supervisor.ending import ask_to_end
from backend.system.room import check_disk
from OnPolicyDistill.errors import ConfigError, DistillError, RunError
from OnPolicyDistill.pipelines.beginning import begin_pipeline, begun_before
from OnPolicyDistill.pipelines.directory import PIPELINES, PipelineDirectory, list_pipelines
from OnPolicyDistill.pipelines.reading import Source, parse_pipeline, shipped_pipelines
from OnPolicyDistill.pipelines.stages import settle, stages_of
from OnPolicyDistill.pipelines.status import PipelineStatus, status_of
from OnPolicyDistill.pipelines.table import read_table
from OnPolicyDistill.presets import preset_header
from OnPolicyDistill.runs.workers import identify, worker_environment
from OnPolicyDistill.settings.pipeline import PipelineSettings

LOG_TAIL_BYTES = 4_000


class Pipelines:
    """Methods may be called from any thread."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._workspace = backend.settings.workspace
        self._lock = Lock()
        # Those this backend started: they are at work before their folder says so.
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def shipped(self) -> tuple[ShippedPipeline, ...]:
        """Return the shipped pipelines, by name."""
        found = []
        for name, file in shipped_pipelines().items():
            text = file.read_text(encoding="utf-8")
            title, description = preset_header(text)
            found.append(
                ShippedPipeline(name=name, title=title, description=description, yaml=text)
            )
        return tuple(found)

    def list(self) -> PipelineList:
        """Return every pipeline of the workspace, newest first."""
        told, damaged = [], []
        for pipeline in list_pipelines(self._workspace):
            try:
                told.append(self._status(pipeline))
            except (DistillError, OSError) as error:
                name = pipeline.pipeline_id
                damaged.append(DamagedPipeline(pipeline_id=name, problem=str(error)))
        return PipelineList(pipelines=tuple(told), damaged=tuple(damaged))

    def detail(self, pipeline_id: str) -> PipelineDetail:
        """Return a pipeline with its stages, their runs and its table.

        Raises:
            NotFoundError: there is none.
            DistillError: its folder is damaged.
        """
        pipeline = self._existing(pipeline_id)
        status = self._status(pipeline)
        run_ids = [stage.run_id for stage in status.stages if stage.run_id is not None]
        existing = [name for name in run_ids if pipeline.run(name).config_file.is_file()]
        return PipelineDetail(
            status=status,
            runs=tuple(self._backend.summary(name) for name in dict.fromkeys(existing)),
            table=read_table(pipeline),
            config_yaml=pipeline.config_file.read_text(encoding="utf-8"),
            log_tail=_tail(pipeline.log_file),
        )

    def create(self, wish: PipelineCreation) -> PipelineStatus:
        """Make a pipeline, and begin it if asked to.

        Raises:
            ConfigError: a setting is wrong, or something would stop a stage.
            ConflictError: another pipeline is at work, and this one was to begin.
            DiskFullError: there is no room.
        """
        settings = _settled(wish.yaml)
        check_disk(self._backend.settings)
        if wish.start:
            self._refuse_beside(None)
        pipeline = None if wish.fresh else begun_before(self._workspace, settings)
        if pipeline is None:
            pipeline, _ = begin_pipeline(self._workspace, settings, wish.fresh)
        if wish.start:
            return self.start(pipeline.pipeline_id, wish.anyway)
        return self._status(pipeline)

    def start(self, pipeline_id: str, anyway: bool = False) -> PipelineStatus:
        """Begin a pipeline or go on with it; one that is at work stays at work.

        Raises:
            ConflictError: another one is at work, or it is finished.
            DiskFullError: there is no room.
        """
        pipeline = self._existing(pipeline_id)
        with self._lock:
            status = self._status(pipeline)
            if status.state == "running":
                return status
            if status.state == "finished":
                raise ConflictError(f"Pipeline {pipeline_id} is finished.", "Make another one.")
            self._refuse_beside(pipeline_id)
            check_disk(self._backend.settings)
            self._processes[pipeline_id] = self._begin(pipeline, anyway)
            return self._status(pipeline)

    def pause(self, pipeline_id: str) -> PipelineStatus:
        """Ask a pipeline to pause with its stage; again changes nothing.

        Raises:
            ConflictError: nothing works on it.
        """
        pipeline = self._existing(pipeline_id)
        process, worker = self._own(pipeline_id), pipeline.worker()
        if worker is None and process is not None:
            worker = identify(process.pid)
        if worker is None:
            message = f"Nothing works on pipeline {pipeline_id} now."
            raise ConflictError(message, code="not_running")
        ask_to_end(worker)
        return self._status(pipeline)

    def file(self, pipeline_id: str, name: TableFile) -> Path:
        """Return a file of the table.

        Raises:
            NotFoundError: there is none, or none yet.
        """
        file = self._existing(pipeline_id).path / name
        try:
            is_own = stat.S_ISREG(file.lstat().st_mode)
        except OSError:
            is_own = False
        if not is_own:
            raise NotFoundError(f"Pipeline {pipeline_id} has no {name}, or none yet.")
        return file

    def at_work(self) -> str | None:
        """Say which pipeline is at work, or None; asked several times a second."""
        own = next((name for name in list(self._processes) if self._own(name) is not None), None)
        name = own or self._elsewhere()
        return None if name is None else f"Pipeline {name} is at work."

    def _elsewhere(self) -> str | None:
        """A pipeline that any process of this machine works on."""
        for file in (self._workspace / PIPELINES).glob("*/worker.json"):
            pipeline = PipelineDirectory(file.parent)
            if pipeline.worker() is not None:
                return pipeline.pipeline_id
        return None

    def _refuse_beside(self, pipeline_id: str | None) -> None:
        names = [*self._processes, *filter(None, [self._elsewhere()])]
        for name in names:
            at_work = (
                self._own(name) is not None
                or PipelineDirectory(self._workspace / PIPELINES / name).worker()
            )
            if name != pipeline_id and at_work:
                message = f"Pipeline {name} is at work."
                raise ConflictError(message, "Wait for it or pause it first.", code="pipeline_busy")

    def _begin(self, pipeline: PipelineDirectory, anyway: bool) -> subprocess.Popen[bytes]:
        command = [*self._backend.settings.worker_command, "pipeline", "resume"]
        options = ["--workspace", str(self._workspace), *(["--anyway"] if anyway else [])]
        try:
            with pipeline.log_file.open("ab") as output:
                return subprocess.Popen(
                    [*command, pipeline.pipeline_id, *options],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=worker_environment({}),
                    start_new_session=True,
                )
        except OSError as error:
            words = f"The process of {pipeline.pipeline_id} could not be started: {error}."
            raise RunError(words, "Check the installation and start it again.") from error

    def _own(self, pipeline_id: str) -> subprocess.Popen[bytes] | None:
        """The process that this backend started, while it works."""
        process = self._processes.get(pipeline_id)
        if process is not None and process.poll() is not None:
            self._processes.pop(pipeline_id, None)
            return None
        return process

    def _status(self, pipeline: PipelineDirectory) -> PipelineStatus:
        status = status_of(pipeline)
        if self._own(pipeline.pipeline_id) is None or status.state == "finished":
            return status
        return status.model_copy(update={"state": "running"})

    def _existing(self, pipeline_id: str) -> PipelineDirectory:
        pipeline = PipelineDirectory(self._workspace / PIPELINES / pipeline_id)
        files = (pipeline.path, pipeline.config_file, pipeline.state_file, pipeline.log_file)
        if not pipeline.config_file.is_file() or any(file.is_symlink() for file in files):
            raise NotFoundError(f"There is no pipeline {pipeline_id}.")
        return pipeline


def _settled(text: str) -> PipelineSettings:
    """Settle a pipeline from outside, looking at no path that could hang.

    Raises:
        ConfigError: a setting is wrong.
    """
    source = Source(text, "pipeline")
    settings = parse_pipeline(source)
    for place, stage in enumerate(settings.stages):
        if stage.config is None:
            continue
        file = probe(stage.config)
        if file.exists() and not file.is_file():
            message = f"{stage.config} is no regular file."
            raise ConfigError(message, "Name a preset.", ((f"stages.{place}.config", message),))
    settled = settle(settings, source)
    for each in stages_of(settled):
        check_named_paths(each.config)
    return settled


def _tail(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - LOG_TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
