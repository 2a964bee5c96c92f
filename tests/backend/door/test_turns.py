"""Who asks much at once waits in a line with an end, and is told when to come again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from backend.backend import Backend
from backend.door.door import DOOR, Door
from backend.door.folders import facts_of_folder
from backend.door.questions import FolderFacts, FolderQuestion
from backend.door.turns import AT_ONCE, MOST_WAITING, BusyError, Turns
from backend.starting import check_start
from OnPolicyDistill.config import parse_config
from tests.backend.conftest import wait_until
from tests.backend.tiny import write_tiny_model

ANYIO_THREADS = 40  # of the pool in which requests are answered


@pytest.fixture
def all_taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    """One question is at work and nobody may wait; closing the stack ends it."""
    monkeypatch.setattr(DOOR, "turns", Turns(at_once=1, most_waiting=0))
    with ExitStack() as taken:
        taken.enter_context(DOOR.turns.turn())
        yield taken


def test_no_more_are_at_work_than_may_be() -> None:
    turns = Turns(at_once=2, most_waiting=6)
    at_work, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2)

    def work() -> None:
        nonlocal at_work, most
        with turns.turn():
            with lock:
                at_work += 1
                most = max(most, at_work)
            both.wait(timeout=30)  # two are in here together, each time
            with lock:
                at_work -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (at_work, most) == (0, 2)


def test_the_line_has_an_end_and_says_how_many_are_in_it() -> None:
    turns = Turns(at_once=1, most_waiting=1, wait_seconds=30)
    had_its_turn = threading.Event()

    def wait() -> None:
        with turns.turn():
            had_its_turn.set()

    with turns.turn():
        waiting = threading.Thread(target=wait)
        waiting.start()
        wait_until(lambda: turns.num_waiting == 1)
        with pytest.raises(BusyError, match="2 files and models are being read"), turns.turn():
            pytest.fail("a third was let in")
    waiting.join()
    assert had_its_turn.is_set()


def test_who_waits_too_long_is_sent_away_and_leaves_no_place_taken() -> None:
    turns = Turns(at_once=1, most_waiting=1, wait_seconds=0.01)
    with turns.turn():
        for _ in range(3):
            with pytest.raises(BusyError, match=r"none of them was done in 0\.01 s"), turns.turn():
                pytest.fail("it was let in")
    with turns.turn():
        assert turns.num_waiting == 0


def test_those_at_work_and_waiting_leave_threads_for_everything_else() -> None:
    assert AT_ONCE + MOST_WAITING < ANYIO_THREADS / 2


def test_a_door_asks_only_in_its_turn(tmp_path: Path) -> None:
    folder = write_tiny_model(tmp_path / "model")
    door = Door(Turns(at_once=1, most_waiting=0))
    with door.turns.turn(), pytest.raises(BusyError):
        door.ask(FolderQuestion(folder=folder), FolderFacts)
    assert door.pid is None
    assert door.ask(FolderQuestion(folder=folder), FolderFacts).family == "qwen2"
    door.close()


async def test_a_check_too_many_is_told_when_to_come_again(
    client: httpx.AsyncClient, all_taken: ExitStack
) -> None:
    asked = {"config": {"method": "on_policy", "distillation": {}}}
    busy = await client.post("/api/check", json=asked)
    assert (busy.status_code, busy.json()["code"]) == (503, "busy")
    assert int(busy.headers["retry-after"]) > 0
    assert "are being read" in busy.json()["detail"]
    assert "again in a few seconds" in busy.json()["action"]
    all_taken.close()
    assert (await client.post("/api/check", json=asked)).status_code == 200


def test_a_folder_that_was_not_read_for_want_of_a_turn_is_read_the_next_time(
    tmp_path: Path, all_taken: ExitStack
) -> None:
    folder = write_tiny_model(tmp_path / "model")
    with pytest.raises(BusyError):
        facts_of_folder(folder)
    all_taken.close()
    assert facts_of_folder(folder).family == "qwen2"


def test_nothing_starts_without_its_forecast_because_others_ask(
    backend: Backend, all_taken: ExitStack
) -> None:
    config = parse_config({"distillation": {}})
    with pytest.raises(BusyError):
        check_start(backend, config, anyway=False)
    check_start(backend, config, anyway=True)
