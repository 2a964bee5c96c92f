"""Stages run in processes of their own; what is finished is skipped, what broke off goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.errors import RunError, StoppedError
from OnPolicyDistill.pipelines.directory import PipelineDirectory, PipelineRecord, StageRecord
from OnPolicyDistill.pipelines.keys import stage_key
from OnPolicyDistill.pipelines.runner import Launch, adapter_of
from OnPolicyDistill.pipelines.stages import stages_of
from OnPolicyDistill.pipelines.status import status_of
from OnPolicyDistill.runs.directory import RunDirectory, create_run, list_runs
from OnPolicyDistill.runs.events import StepFinished
from OnPolicyDistill.runs.log import read_events
from tests.pipelines.conftest import FAKE, FAKE_WORKER, Heard, Make, run_ids, states, work


def adapter_named_by(pipeline: PipelineDirectory, number: int) -> str | None:
    run_id = run_ids(pipeline)[number]
    assert run_id is not None
    config = pipeline.run(run_id).config()
    assert isinstance(config, OnPolicyConfig)
    return config.distillation.student_adapter


def test_stages_hand_their_adapters_on_and_are_ordinary_runs(make: Make) -> None:
    pipeline = make()
    heard = work(pipeline)
    assert heard.stages == ["first running", "second running", "third running"]
    first, second, _ = (pipeline.run(str(run_id)) for run_id in run_ids(pipeline))
    assert adapter_named_by(pipeline, 0) is None
    assert adapter_named_by(pipeline, 1) == str(adapter_of(first))
    assert adapter_named_by(pipeline, 2) == str(adapter_of(second))
    assert {run.state() for run in list_runs(pipeline.workspace)} == {"finished"}
    told = status_of(pipeline)
    assert (told.state, told.num_finished, told.left_seconds) == ("finished", 3, 0.0)
    assert [stage.step for stage in told.stages] == [2, 2, 2]
    assert all(stage.seconds and stage.seconds > 0 for stage in told.stages)
    assert not pipeline.worker_file.exists()


def test_what_is_finished_is_skipped_and_a_changed_stage_is_repeated_with_those_after_it(
    make: Make, tmp_path: Path
) -> None:
    pipeline = make()
    work(pipeline)
    before = run_ids(pipeline)
    assert work(pipeline).stages == ["first finished", "second finished", "third finished"]
    equal = make()
    work(equal)
    assert run_ids(pipeline) == run_ids(equal) == before
    assert [stage.taken_over for stage in equal.record().stages] == [True, True, True]
    changed = make(second_settings=json.dumps({"learning_rate": 0.5}))
    # The fake worker's adapter says nothing of what it learned: this one's is another.
    worker = tmp_path / "worker.py"
    text = FAKE_WORKER.read_text(encoding="utf-8")
    worker.write_text(text.replace('b"x"', 'b"otherwise"'), encoding="utf-8")
    work(changed, launch=Launch(True, (sys.executable, str(worker))))
    assert [run_ids(changed)[place] == before[place] for place in range(3)] == [True, False, False]
    assert [stage.taken_over for stage in changed.record().stages] == [True, False, False]


def test_a_fresh_pipeline_takes_nothing_over(make: Make) -> None:
    pipeline, fresh = make(1), make(1, is_fresh=True)
    work(pipeline)
    work(fresh)
    assert run_ids(fresh) != run_ids(pipeline)


def test_a_failed_stage_ends_the_pipeline_in_words_and_leaves_the_rest(make: Make) -> None:
    pipeline = make(second="steps=5 die=fail@3")
    with pytest.raises(RunError, match="failed in stage second: The fake worker was told to fail"):
        work(pipeline)
    assert states(pipeline) == ["finished", "failed", "waiting"]
    told = status_of(pipeline)
    assert told.state == "failed"
    assert "The fake worker was told to fail." in told.message
    assert told.action == "Tell it something else."
    failed = run_ids(pipeline)[1]
    work(pipeline)
    assert states(pipeline) == ["finished", "finished", "finished"]
    assert run_ids(pipeline)[1] == failed, "the same run went on from its checkpoint"


def test_a_stage_whose_process_dies_is_said_with_its_last_words(make: Make) -> None:
    pipeline = make(1, first="steps=5 die=exit@3")
    with pytest.raises(RunError, match=r"ended with exit code 7\. It said: something odd happened"):
        work(pipeline)
    assert states(pipeline) == ["failed"]


def test_a_stop_pauses_the_stage_and_a_resume_goes_on_with_its_run(make: Make) -> None:
    pipeline = make(second="steps=40 pause=0.05")
    heard, stopped = Heard(), []

    def stop_in_the_second(event: object) -> None:
        if isinstance(event, StepFinished) and heard.stages[-1] == "second running":
            stopped.append(event.step)

    heard.on_event = stop_in_the_second
    with pytest.raises(StoppedError, match="is paused in stage second"):
        work(pipeline, heard, lambda: bool(stopped))
    told = status_of(pipeline)
    assert (told.state, states(pipeline)) == ("paused", ["finished", "paused", "waiting"])
    paused = run_ids(pipeline)[1]
    work(pipeline)
    assert run_ids(pipeline)[1] == paused
    kinds = [event.kind for event in read_events(pipeline.run(str(paused)).events_file)]
    assert kinds.count("run_resumed") == 1
    assert states(pipeline) == ["finished"] * 3


def test_a_run_that_a_killed_runner_left_behind_is_followed_to_its_end(make: Make) -> None:
    pipeline = make(1, first="steps=30 pause=0.05")
    (stage,) = stages_of(pipeline.settings())
    run = create_run(pipeline.workspace, stage.config)
    known = StageRecord(
        name="first", state="running", run_id=run.run_id, key=stage_key(stage.config)
    )
    pipeline.keep(PipelineRecord(state="running", stages=(known,)))
    told = status_of(pipeline)
    assert (told.state, told.stages[0].state) == ("interrupted", "paused")
    with at_work(run):
        work(pipeline)
    assert run_ids(pipeline) == [run.run_id]
    kinds = [event.kind for event in read_events(run.events_file)]
    assert (kinds.count("run_started"), kinds.count("run_resumed")) == (1, 0)


def test_two_runners_and_two_pipelines_do_not_work_at_once(make: Make) -> None:
    pipeline, other = make(1), make(1)
    with pipeline.occupied():
        with pytest.raises(RunError, match="is being worked on by another process"):
            work(pipeline)
        with pytest.raises(RunError, match=f"{pipeline.pipeline_id} is at work"):
            work(other)
    assert states(other) == ["waiting"]
    assert other.record().state == "created"


def test_a_stage_waits_while_another_run_is_at_work(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("OnPolicyDistill.pipelines.runner.WAIT_SECONDS", 0.05)
    pipeline = make(1)
    script = {"distillation": {"run_name": "steps=20 pause=0.05"}}
    other = create_run(pipeline.workspace, OnPolicyConfig.model_validate(script))
    with at_work(other):
        heard = work(pipeline)
    assert heard.notes == [f"Run {other.run_id} is at work; this stage waits for its end."]
    ended = list(read_events(other.events_file))[-1].time
    first = pipeline.run(str(run_ids(pipeline)[0]))
    assert next(read_events(first.events_file)).time >= ended


@contextmanager
def at_work(run: RunDirectory) -> Iterator[None]:
    """A worker that nobody here started works on a run."""
    process = subprocess.Popen(
        [*FAKE.command, "train", "--run", run.run_id, "--workspace", str(run.path.parent.parent)],
        stderr=subprocess.DEVNULL,
    )
    while not run.worker_file.exists():
        assert process.poll() is None
        time.sleep(0.01)
    yield
    assert process.wait(20) == 0
