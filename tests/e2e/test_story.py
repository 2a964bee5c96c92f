"""What a user does with a run, over real processes: make, follow, pause, stop, lose, find again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from benchmarks.backend_process import LOG_FILE, headers, start_backend
from OnPolicyDistill.runs.checkpoints import last_checkpoint, pointed, read_state
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import RunFinished, RunResumed
from OnPolicyDistill.runs.log import last_event, read_events
from OnPolicyDistill.runs.postmortem import PostMortem
from tests.e2e.conftest import Json, Stage, wait_until

pytestmark = pytest.mark.timeout(300)


def heard(stage: Stage, run: RunDirectory, after: int) -> Iterator[Json]:
    """Yield a run's events behind a number until the connection breaks."""
    url = stage.backend.stream_url(run.run_id, after)
    try:
        with connect(url, additional_headers=headers()) as connection:
            while True:
                yield from json.loads(connection.recv(timeout=120)).get("events", [])
    except ConnectionClosed:
        return


def test_a_run_is_followed_to_its_end_although_the_backend_dies_on_the_way(stage: Stage) -> None:
    run = stage.create(num_steps=150, eval_every=50, checkpoint_every=25)
    events: list[Json] = []
    for event in heard(stage, run, -1):
        events.append(event)
        if event["kind"] == "step_finished":
            break
    worker = run.worker()
    assert worker is not None
    # Held meanwhile: a busy machine takes longer for a backend than for these few steps.
    os.kill(worker.pid, signal.SIGSTOP)
    stage.restart_backend()
    queue = stage.backend.ask("/queue").json()
    assert queue["active"]["run_id"] == run.run_id
    os.kill(worker.pid, signal.SIGCONT)
    for event in heard(stage, run, int(str(events[-1]["seq"]))):
        events.append(event)
        if event["kind"] == "run_finished":
            break
    assert run.worker() in (worker, None)  # the very process went on
    assert events == [json.loads(line) for line in run.events_file.read_bytes().splitlines()]
    assert [event["seq"] for event in events] == list(range(len(events)))
    stage.until(run, "finished")
    detail = stage.detail(run)
    assert detail["run"]["proof_passed"] is True
    assert detail["postmortem"] is None
    report = detail["report"]
    assert report["after_eval_reverse_kl"] < report["before_eval_reverse_kl"]  # type: ignore[operator]


def test_a_run_is_paused_gone_on_with_and_stopped_with_what_it_learned(stage: Stage) -> None:
    run = stage.create(num_steps=100_000)
    stage.until_step(run, 4)
    stage.do(run, "pause")
    stage.until(run, "paused")
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    # Read now: the run goes on to write more, and the oldest are thrown away.
    paused_at = read_state(checkpoint).step
    wait_until(lambda: stage.backend.ask("/queue").json()["active"] is None, "an empty slot")
    stage.do(run, "resume")
    stage.until_step(run, paused_at + 2)
    stage.do(run, "stop")
    stage.until(run, "finished")
    resumed = [
        event.step for event in read_events(run.events_file) if isinstance(event, RunResumed)
    ]
    assert resumed == [paused_at]
    # Asked to pause and to stop: the count works, and stage sees to it that nothing was killed.
    assert stage.signals().count(signal.SIGTERM) == 2
    end, kept = last_event(run.events_file), pointed(run, "last")
    assert isinstance(end, RunFinished)
    assert end.because == "stopped"
    assert kept is not None
    assert (read_state(kept).step, (kept / "adapters.safetensors").is_file()) == (end.step, True)


def test_a_killed_worker_is_explained_and_the_run_can_go_on(stage: Stage) -> None:
    run = stage.create(num_steps=60, eval_every=30, checkpoint_every=5)
    stage.until_step(run, 7)
    assert stage.kill_worker()
    stage.until(run, "interrupted")
    wait_until(lambda: stage.detail(run)["postmortem"] is not None, "a post-mortem")
    postmortem = PostMortem.model_validate(stage.detail(run)["postmortem"])
    assert (postmortem.cause, postmortem.signal) == ("killed", "SIGKILL")
    checkpoint = last_checkpoint(run)
    assert checkpoint is not None
    assert postmortem.resume_from == int(checkpoint.name)
    assert f"Resume from step {postmortem.resume_from}." in postmortem.action
    stage.do(run, "resume")
    stage.until(run, "finished")
    detail = stage.detail(run)
    assert (detail["run"]["step"], detail["postmortem"]) == (60, None)


def test_a_run_started_in_a_terminal_appears_in_the_list(stage: Stage, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(yaml.safe_dump(stage.config(run_name="from a terminal", num_steps=12)))
    command = [sys.executable, "-m", "OnPolicyDistill", "train", str(config)]
    environment = {**os.environ, "OPD_WORKSPACE": str(stage.workspace)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    listed: list[dict[str, object]] = []

    def is_listed() -> bool:
        listed[:] = stage.backend.ask("/runs?search=terminal").json()["runs"]
        return bool(listed)

    wait_until(is_listed, "the run to be listed")
    run = RunDirectory(stage.workspace / "runs" / str(listed[0]["run_id"]))
    assert process.wait(120) == 0
    stage.until(run, "finished")
    assert listed[0]["name"] == "from a terminal"
    assert stage.detail(run)["run"]["step"] == 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_backend_that_is_told_to_end_does_so_without_a_word(
    tmp_path: Path, number: signal.Signals
) -> None:
    backend = start_backend(tmp_path)
    backend.process.send_signal(number)
    assert backend.process.wait(60) == 0
    backend.end()
    assert (tmp_path / LOG_FILE).read_text() == ""
