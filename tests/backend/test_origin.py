"""What made a run, and where its time went."""

from __future__ import annotations

import httpx

from backend.history.digest import MAX_MACHINES, Digest
from OnPolicyDistill.runs.events import (
    EvaluationFinished,
    RunResumed,
    RunStarted,
    StepFinished,
)
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import EventWriter, read_events
from OnPolicyDistill.runs.reporting import describe_machine
from tests.backend.conftest import MakeRun


async def test_the_page_says_what_data_versions_machine_and_seed_made_a_run(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run(prompts="/data/train.jsonl", seed=7)
    here = describe_machine()
    elsewhere = here.model_copy(update={"processor": "another"})
    with EventWriter(run.events_file) as writer:
        writer.write(
            RunStarted(
                run_id=run.run_id, method="on_policy", num_steps=4, config_hash="abc", machine=here
            )
        )
        for machine in (elsewhere, here):
            writer.write(RunResumed(step=0, machine=machine))
    origin = (await client.get(f"/api/runs/{run.run_id}")).json()["origin"]
    assert {"title": "Training prompts", "path": "/data/train.jsonl"} in origin["files"]
    assert (origin["seed"], origin["config_hash"], origin["machines"]) == (7, "abc", 2)
    assert origin["machine"] == here.model_dump()
    assert origin["machine"]["program"] not in ("", "absent")


async def test_the_page_and_the_report_split_the_time_alike(
    client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    run = make_run()
    took = {"sampling_seconds": 0.25, "learning_seconds": 0.5}
    with EventWriter(run.events_file) as writer:
        writer.write(StepFinished(step=1, metrics=took))
        writer.write(EvaluationFinished(step=1, metrics={"eval_seconds": 0.125}))
        writer.write(StepFinished(step=2, metrics=took))
    parts = (await client.get(f"/api/runs/{run.run_id}")).json()["time_split"]
    told = {part["name"]: part["seconds"] for part in parts}
    assert told == {"sampling": 0.5, "learning": 1.0, "evaluating": 0.125} | {
        key: value for key, value in told.items() if key == "other"
    }
    history = fold(read_events(run.events_file))
    assert told == {share.name: share.seconds for share in history.time_split()}


def test_machines_that_are_no_machines_cost_nothing() -> None:
    digest = Digest()
    for number in range(3 * MAX_MACHINES):
        line = '{"kind":"run_resumed","seq":%d,"step":0,"machine":{"x":"%s"}}'
        digest.feed((line % (number, number)).encode())
    digest.feed(
        b'{"kind":"run_resumed","seq":%d,"step":0,"machine":{"x":"%s"}}'
        % (3 * MAX_MACHINES, b"y" * 100_000)
    )
    assert len(digest.facts.machines) == MAX_MACHINES
    assert len(str(digest.facts.machines)) < 10_000
