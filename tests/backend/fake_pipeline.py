"""A worker command whose pipelines run with fake workers as stages, and whose runs are fake."""

from __future__ import annotations

import sys
from pathlib import Path

from OnPolicyDistill.errors import DistillError
from OnPolicyDistill.pipelines.directory import PIPELINES, PipelineDirectory, PipelineRecord
from OnPolicyDistill.pipelines.runner import Launch, Runner
from OnPolicyDistill.pipelines.stages import Stage
from OnPolicyDistill.runs.events import Event
from OnPolicyDistill.runs.reporting import StopRequest
from tests.backend.fake_worker import main, say

FAKE_WORKER = Path(__file__).with_name("fake_worker.py")


class Said:
    """Says on stderr what it is told."""

    def begin(self, pipeline: PipelineDirectory) -> None:
        say(pipeline.pipeline_id)

    def stage(self, _number: int, stage: Stage, _record: PipelineRecord) -> None:
        say(f"stage {stage.name}")

    def event(self, _event: Event) -> None:
        pass

    def note(self, words: str) -> None:
        say(words)


def resume(arguments: list[str]) -> int:
    workspace = Path(arguments[arguments.index("--workspace") + 1])
    pipeline = PipelineDirectory(workspace / PIPELINES / arguments[2])
    stop = StopRequest()
    launch = Launch(True, (sys.executable, str(FAKE_WORKER)))
    try:
        with stop.on_signals():
            Runner(pipeline, Said(), stop, launch).run()
    except DistillError as error:
        say(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(resume(given) if given[0] == "pipeline" else main(given))
