"""Pipelines of stages whose workers write run folders without training (backend/fake_worker.py)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from OnPolicyDistill.pipelines.directory import PipelineDirectory, PipelineRecord, create_pipeline
from OnPolicyDistill.pipelines.reading import Source, parse_pipeline
from OnPolicyDistill.pipelines.runner import Launch, Runner
from OnPolicyDistill.pipelines.stages import Stage, settle
from OnPolicyDistill.runs.events import Event
from OnPolicyDistill.settings.pipeline import PipelineSettings

FAKE_WORKER = Path(__file__).parents[1] / "backend" / "fake_worker.py"
FAKE = Launch(anyway=True, command=(sys.executable, str(FAKE_WORKER)))

Make = Callable[..., PipelineDirectory]


class Heard:
    """A watcher that keeps what it is told: stages as `name state`, kinds of events, notes."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.events: list[Event] = []
        self.notes: list[str] = []
        self.on_event: Callable[[Event], None] = lambda _event: None

    def begin(self, pipeline: PipelineDirectory) -> None:
        self.notes.clear()

    def stage(self, number: int, stage: Stage, record: PipelineRecord) -> None:
        self.stages.append(f"{stage.name} {record.stages[number].state}")

    def event(self, event: Event) -> None:
        self.events.append(event)
        self.on_event(event)

    def note(self, words: str) -> None:
        self.notes.append(words)


def never() -> bool:
    return False


def work(
    pipeline: PipelineDirectory,
    heard: Heard | None = None,
    stop: Callable[[], bool] = never,
    launch: Launch = FAKE,
) -> Heard:
    heard = heard or Heard()
    Runner(pipeline, heard, stop, launch).run()
    return heard


def settled(text: str) -> PipelineSettings:
    source = Source(text, "test.yaml")
    return settle(parse_pipeline(source), source)


NAMES = (("first", None), ("second", "first"), ("third", "second"))


def chained(prompts: Path, count: int, **scripts: str) -> str:
    """Stages that go on from each other; a script tells a stage's fake worker what to do."""
    stages = []
    for name, start in NAMES[:count]:
        settings = {
            "run_name": scripts.get(name, "steps=2"),
            "prompts": str(prompts),
            "validation_prompts": str(prompts),
        }
        settings |= json.loads(scripts.get(f"{name}_settings", "{}"))
        stage = {"name": name, "method": "on_policy", "settings": settings}
        stages.append(stage if start is None else {**stage, "from": start})
    return yaml.safe_dump({"name": "three", "stages": stages})


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a"}\n', encoding="utf-8")
    return file


@pytest.fixture
def make(tmp_path: Path, prompts: Path) -> Make:
    def make_chain(count: int = 3, is_fresh: bool = False, **scripts: str) -> PipelineDirectory:
        settings = settled(chained(prompts, count, **scripts))
        return create_pipeline(tmp_path / "workspace", settings, is_fresh)

    return make_chain


def run_ids(pipeline: PipelineDirectory) -> list[str | None]:
    return [stage.run_id for stage in pipeline.record().stages]


def states(pipeline: PipelineDirectory) -> list[str]:
    return [stage.state for stage in pipeline.record().stages]
