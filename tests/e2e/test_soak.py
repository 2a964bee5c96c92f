"""Random SIGKILLs of worker, backend and both over short runs: nothing is lost or doubled.

No more kills than `OPD_SOAK_KILLS`, and none after `OPD_SOAK_SECONDS`, because every kill costs a
start that may take many seconds on a busy machine; `OPD_SOAK_SEED` chooses which. The long soak:
OPD_SOAK_KILLS=200 OPD_SOAK_SECONDS=3600 pytest tests/e2e/test_soak.py -s
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event as Flag
from threading import Thread

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from backend.history.index import RunIndex
from backend.history.runlog import RunLogs
from benchmarks.backend_process import headers
from OnPolicyDistill.runs.checkpoints import last_checkpoint, pointed, read_state
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import Event, RolloutRecord, RolloutSampled
from OnPolicyDistill.runs.history import fold
from OnPolicyDistill.runs.log import read_events
from tests.e2e.conftest import Stage, wait_until

NUM_KILLS = int(os.environ.get("OPD_SOAK_KILLS", "25"))
KILLING_SECONDS = float(os.environ.get("OPD_SOAK_SECONDS", "60"))
SEED = int(os.environ.get("OPD_SOAK_SEED", "1"))
NUM_STEPS = 120
VERBS = {"created": "start", "paused": "resume", "interrupted": "resume", "failed": "resume"}

pytestmark = pytest.mark.timeout(KILLING_SECONDS + 900)


class Follower:
    """Reads one run by websocket all the time, from whichever backend there is."""

    def __init__(self, stage: Stage, run: RunDirectory) -> None:
        self.run = run
        self.seen: list[object] = []
        self._stage = stage
        self._is_over = Flag()
        self._thread = Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._is_over.is_set():
            with suppress(WebSocketException, OSError, EOFError):
                self._read()
            time.sleep(0.05)

    def _read(self) -> None:
        url = self._stage.backend.stream_url(self.run.run_id, len(self.seen) - 1)
        with connect(url, additional_headers=headers(), max_size=None) as connection:
            while not self._is_over.is_set():
                with suppress(TimeoutError):
                    self.seen += json.loads(connection.recv(timeout=0.2)).get("events", [])

    def end(self) -> None:
        """Stop reading, with everything read where the run is finished."""
        if self.run.state() == "finished":
            num_events = sum(1 for _ in read_events(self.run.events_file))
            wait_until(lambda: len(self.seen) >= num_events, "a reader to get everything")
        self._is_over.set()
        self._thread.join(30)


@contextmanager
def followed(stage: Stage) -> Iterator[list[Follower]]:
    followers: list[Follower] = []
    try:
        yield followers
    finally:
        for follower in followers:
            follower.end()


def is_over(stage: Stage, run: RunDirectory) -> bool:
    """Whether a run is finished; one that lies still goes on."""
    state = stage.state(run)
    if state in VERBS:
        stage.do(run, VERBS[state])
    return state == "finished"


def next_run(stage: Stage, followers: list[Follower]) -> RunDirectory:
    """Return the run to work on: the current one, or a new one."""
    if followers and not is_over(stage, followers[-1].run):
        return followers[-1].run
    if followers:
        followers[-1].end()
    settings = {"num_steps": NUM_STEPS, "eval_every": 12, "checkpoint_every": 5}
    run = stage.create(**settings, seed=len(followers))
    followers.append(Follower(stage, run))
    return run


def wait_a_random_while(stage: Stage, run: RunDirectory, dice: random.Random) -> None:
    """Mostly until the run works and then some steps more; sometimes into its start."""
    if dice.random() < 0.25:
        time.sleep(dice.uniform(0, 3))
        return
    size = log_bytes(run)
    wait_until(
        lambda: log_bytes(run) > size + 3000 or is_over(stage, run), f"{run.run_id} to go on"
    )
    time.sleep(dice.uniform(0, 1.5))


def log_bytes(run: RunDirectory) -> int:
    return run.events_file.stat().st_size if run.events_file.exists() else 0


def kill(stage: Stage, victim: str) -> None:
    """Kill; a killed backend is followed by another one."""
    if victim in ("backend", "both"):
        stage.backend.process.kill()
    if victim in ("worker", "both"):
        stage.kill_worker()
    if victim in ("backend", "both"):
        stage.restart_backend()


def settle(stage: Stage, followers: list[Follower]) -> None:
    """Let the last run end, and the backend see it."""
    run = followers[-1].run
    wait_until(lambda: is_over(stage, run), f"{run.run_id} to finish")
    wait_until(lambda: stage.backend.ask("/queue").json()["active"] is None, "an empty slot")


def test_random_kills_lose_and_double_nothing(stage: Stage) -> None:
    dice, victims = random.Random(SEED), Counter[str]()
    deadline = time.monotonic() + KILLING_SECONDS
    with followed(stage) as followers:
        while victims.total() < NUM_KILLS and time.monotonic() < deadline:
            wait_a_random_while(stage, next_run(stage, followers), dice)
            victim = dice.choice(("worker", "backend", "both"))
            kill(stage, victim)
            victims[victim] += 1
        settle(stage, followers)
    print(f"killed: {dict(victims)}; runs: {len(followers)}")  # noqa: T201 (what a soak shows)
    for follower in followers:
        events = list(read_events(follower.run.events_file))
        check_order(events)
        check_ending(follower.run, events)
        check_rollouts(follower.run, events)
        lines = follower.run.events_file.read_bytes().splitlines()
        assert follower.seen == [json.loads(line) for line in lines]
    assert stage.backend.end() in (0, -signal.SIGTERM)
    check_index(stage.workspace)


def check_order(events: Iterable[Event]) -> None:
    """Every step follows the one before it, or the checkpoint of the resume before it."""
    step, saved = 0, {0}
    for number, event in enumerate(events):
        assert event.seq == number
        match event.kind:
            case "run_resumed":
                # A checkpoint may be newer than the last line about one.
                assert max(saved) <= event.step <= step
                step = event.step
            case "step_finished":
                assert event.step == step + 1
                step = event.step
            case "checkpoint_saved":
                assert event.step == step
                saved.add(step)
            case _:
                pass


def check_ending(run: RunDirectory, events: list[Event]) -> None:
    """The run is finished, all its steps count once, and its checkpoints are whole and right."""
    history = fold(events)
    assert run.state() == "finished"
    assert [step.step for step in history.steps] == list(range(1, NUM_STEPS + 1))
    last, best = last_checkpoint(run), pointed(run, "best")
    assert last is not None
    assert best is not None
    assert history.best is not None
    assert (read_state(last).step, read_state(best).step) == (NUM_STEPS, history.best.step)
    assert not list(run.checkpoints.glob(".*"))
    assert run.worker() is None


def check_rollouts(run: RunDirectory, events: Iterable[Event]) -> None:
    """Every event about a rollout points at its whole line."""
    with run.rollouts_file.open("rb") as stream:
        for event in events:
            if isinstance(event, RolloutSampled):
                stream.seek(event.offset)
                assert RolloutRecord.model_validate_json(stream.readline()).step == event.step


def check_index(workspace: Path) -> None:
    """What the backends left is what a rebuilt index says."""
    index = RunIndex(workspace, RunLogs())
    left = index.contents()
    assert index.rebuild() == len(left)
    assert index.contents() == left
    index.engine.dispose()
