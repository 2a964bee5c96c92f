"""What a pipeline at work says in a terminal: its stages, and their runs' own lines."""

from __future__ import annotations

from OnPolicyDistill.cli.narrator import Narrator, is_frequent, without_reason
from OnPolicyDistill.cli.output import print_note
from OnPolicyDistill.cli.progress import PlainLines
from OnPolicyDistill.config import num_steps_of
from OnPolicyDistill.pipelines.directory import PipelineDirectory, PipelineRecord
from OnPolicyDistill.pipelines.stages import Stage
from OnPolicyDistill.pipelines.status import status_of
from OnPolicyDistill.runs.events import Event
from OnPolicyDistill.runs.forecast import read_forecast
from OnPolicyDistill.runs.pace import route_of
from OnPolicyDistill.runs.wording import format_seconds


class StageLines:
    """Plain lines on stderr; those that come often carry the time left of all stages together."""

    def __init__(self) -> None:
        self._pipeline: PipelineDirectory | None = None
        self._name = ""
        self._narrator: Narrator | None = None
        self._lines: PlainLines | None = None
        self._is_frequent = False

    def begin(self, pipeline: PipelineDirectory) -> None:
        """Say which pipeline it is."""
        self._pipeline = pipeline
        print_note(f"Pipeline {pipeline.pipeline_id} in {pipeline.path}")

    def stage(self, number: int, stage: Stage, record: PipelineRecord) -> None:
        """Say which stage it is and whether anything is left to do."""
        known = record.stages[number]
        what = f"Stage {number + 1} of {len(record.stages)}, {stage.name}"
        if known.state == "finished":
            print_note(f"{what}: finished already, run {known.run_id}.")
            return
        assert known.run_id is not None, "a stage at work has a run"
        assert self._pipeline is not None, "it was begun"
        run = self._pipeline.run(known.run_id)
        goes_on = " goes on" if run.events_file.exists() else ""
        print_note(f"{what}: run {known.run_id}{goes_on}.{self._left()}")
        self._name = stage.name
        route = route_of(stage.config, num_steps_of(stage.config))
        self._narrator = Narrator(route, read_forecast(run))
        self._lines = PlainLines(self._write, self._narrator)

    def event(self, event: Event) -> None:
        """Say what the stage's run did."""
        assert self._narrator is not None, "events come of a stage"
        assert self._lines is not None
        self._is_frequent = is_frequent(event)
        self._lines.show(event, without_reason(event, self._narrator.tell(event)))

    def note(self, words: str) -> None:
        """Say something that a person should know."""
        print_note(words)

    def _write(self, line: str) -> None:
        print_note(f"[{self._name}] {line}{self._left() if self._is_frequent else ''}")

    def _left(self) -> str:
        assert self._pipeline is not None, "it was begun"
        left = status_of(self._pipeline).left_seconds
        return "" if left is None else f"  (all stages: about {format_seconds(left)} left)"
