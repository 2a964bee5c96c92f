"""Live streams: complete, in order, once; whatever happens to reader, backend or last line."""

from __future__ import annotations

import json
import random
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from backend.backend import Backend
from backend.settings import BackendSettings
from OnPolicyDistill.runs.directory import RunDirectory
from OnPolicyDistill.runs.events import PhaseChanged, RunPaused, StepFinished
from OnPolicyDistill.runs.log import EventWriter
from tests.backend.conftest import TOKEN, MakeRun, served, wait_until

pytestmark = pytest.mark.timeout(90)


@contextmanager
def reading(port: int, path: str) -> Iterator[ClientConnection]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers) as socket:
        yield socket


def message(connection: ClientConnection) -> dict[str, object]:
    return json.loads(connection.recv(timeout=60))  # type: ignore[no-any-return]


def read_until(connection: ClientConnection, last: int) -> list[int]:
    """Return the numbers of all events until one is `last`."""
    seen: list[int] = []
    while not seen or seen[-1] < last:
        got = message(connection)
        if got["kind"] == "events":
            seen += [event["seq"] for event in got["events"]]  # type: ignore[attr-defined]
            assert (seen[-1], len(got["events"])) == (  # type: ignore[arg-type]
                got["last"],
                got["last"] - got["first"] + 1,  # type: ignore[operator]
            )
    return seen


def append(run: RunDirectory, count: int, first: int = 1) -> None:
    with EventWriter(run.events_file) as writer:
        for step in range(first, first + count):
            writer.write(StepFinished(step=step, metrics={"loss": 1.0}))


def stream_of(run: RunDirectory, after: int | None = None) -> str:
    suffix = "" if after is None else f"?after={after}"
    return f"/api/runs/{run.run_id}/stream{suffix}"


def test_everything_behind_a_number_comes_then_what_is_new(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run()
    append(run, 1500)
    with served(settings) as (_, port), reading(port, stream_of(run, 9)) as reader:
        assert read_until(reader, 1499) == list(range(10, 1500))
        append(run, 5)
        assert read_until(reader, 1504) == list(range(1500, 1505))


def test_without_a_number_a_snapshot_comes_first(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run()
    append(run, 300)
    with served(settings) as (_, port), reading(port, stream_of(run)) as reader:
        snapshot = message(reader)
        assert (snapshot["kind"], snapshot["seq"]) == ("snapshot", 299)
        assert [event["seq"] for event in snapshot["recent"]] == list(range(200, 300))  # type: ignore[attr-defined]
        assert snapshot["run"]["step"] == 300  # type: ignore[index]
        append(run, 2)
        assert read_until(reader, 301) == [300, 301]


def test_an_empty_log_can_be_followed_from_its_first_event(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run()
    with served(settings) as (_, port), reading(port, stream_of(run, -1)) as reader:
        wait_until(lambda: message(reader)["kind"] == "state")
        append(run, 1)
        assert read_until(reader, 0) == [0]


def test_a_torn_last_line_is_sent_once_and_whole(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run()
    append(run, 3)
    with run.events_file.open("ab") as stream:
        stream.write(b'{"seq":3,"time":1.0,"kind":"step_fin')
    with served(settings) as (_, port), reading(port, stream_of(run, -1)) as reader:
        assert read_until(reader, 2) == [0, 1, 2]
        append(run, 2)  # repairs the torn line first
        assert read_until(reader, 4) == [3, 4]


def test_reconnecting_at_random_loses_and_doubles_nothing(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run, choice, seen = make_run(), random.Random(1), list[int]()
    append(run, 200)
    with served(settings) as (_, port):
        for _ in range(25):
            append(run, choice.randint(0, 9))
            last = seen[-1] if seen else -1
            with reading(port, stream_of(run, last)) as reader:
                wait_until(lambda reader=reader: message(reader)["kind"] == "state")  # type: ignore[misc]
                if choice.random() < 0.8:
                    append(run, 1)
                    got = message(reader)
                    seen += [event["seq"] for event in got.get("events", [])]  # type: ignore[attr-defined]
        append(run, 1)
        total = run.events_file.read_bytes().count(b"\n")
        with reading(port, stream_of(run, seen[-1])) as reader:
            seen += read_until(reader, total - 1)
    assert seen == list(range(total))


def test_a_new_backend_goes_on_where_the_old_one_was(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run()
    append(run, 50)
    with served(settings) as (_, port), reading(port, stream_of(run, -1)) as reader:
        seen = read_until(reader, 49)
    append(run, 10)
    with served(settings) as (_, port), reading(port, stream_of(run, seen[-1])) as reader:
        seen += read_until(reader, 59)
    assert seen == list(range(60))


def test_many_readers_share_one_feed_and_hear_the_same(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run()
    with served(settings) as (backend, port):
        with ExitStack() as stack:
            hear_the_same(stack, run, port)
            assert len(backend.feeds) == 1
        wait_until(lambda: not backend.feeds)


def hear_the_same(stack: ExitStack, run: RunDirectory, port: int) -> None:
    readers = [stack.enter_context(reading(port, stream_of(run, -1))) for _ in range(20)]
    with EventWriter(run.events_file) as writer:
        for step in range(1, 101):
            writer.write(StepFinished(step=step, metrics={"loss": 1.0}))
            time.sleep(0.002)
    for reader in readers:
        assert read_until(reader, 99) == list(range(100))


def until_closed(connection: ClientConnection) -> tuple[list[int], int]:
    """Read to the end; returns the numbers of all events and the close code."""
    seen: list[int] = []
    while True:
        try:
            got = message(connection)
        except ConnectionClosed as closed:
            return seen, 1006 if closed.rcvd is None else int(closed.rcvd.code)
        seen += [event["seq"] for event in got.get("events", [])]  # type: ignore[attr-defined]


def close_code(port: int, path: str) -> int:
    with reading(port, path) as reader:
        return until_closed(reader)[1]


def test_streams_that_cannot_be_are_closed_with_their_reason(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run, damaged = make_run(), make_run()
    append(run, 3)
    append(damaged, 3)
    with damaged.events_file.open("ab") as stream:
        stream.write(b"not an event\n")
    with served(settings) as (_, port):
        assert close_code(port, "/api/runs/distill_none/stream") == 4404
        assert close_code(port, stream_of(run, 3)) == 4409
        assert close_code(port, stream_of(damaged, -1)) == 4500


def test_a_reader_of_a_deleted_run_is_told(settings: BackendSettings, make_run: MakeRun) -> None:
    run = make_run()
    append(run, 3)
    with served(settings) as (_, port), reading(port, stream_of(run, -1)) as reader:
        read_until(reader, 2)
        shutil.rmtree(run.path)
        assert until_closed(reader) == ([], 4410)


def test_a_reader_that_stops_reading_is_cut_off_and_can_go_on(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    run = make_run()
    with EventWriter(run.events_file) as writer:
        for _ in range(3000):
            writer.write(PhaseChanged(phase="loading", step=0, detail="x" * 4000))
    with served(replace(settings, slow_client_seconds=0.3)) as (backend, port):
        wire = socket.socket()
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.connect(("127.0.0.1", port))
        url = f"ws://127.0.0.1:{port}{stream_of(run, -1)}"
        headers = {"authorization": f"Bearer {TOKEN}"}
        with connect(
            url, sock=wire, additional_headers=headers, max_queue=1, max_size=None
        ) as slow:
            wait_until(lambda: bool(backend.feeds))
            wait_until(lambda: not backend.feeds)  # cut off while it does not read
            seen, code = until_closed(slow)
        assert code == 4408
        assert seen == list(range(len(seen)))
        assert len(seen) < 3000
        url = f"ws://127.0.0.1:{port}{stream_of(run, seen[-1])}"
        with connect(url, additional_headers=headers, max_size=None) as again:
            seen += read_until(again, 2999)
    assert seen == list(range(3000))


def test_a_quiet_stream_pings(settings: BackendSettings, make_run: MakeRun) -> None:
    run = make_run()
    with (
        served(replace(settings, heartbeat_seconds=0.05)) as (_, port),
        reading(port, stream_of(run, -1)) as reader,
    ):
        wait_until(lambda: message(reader)["kind"] == "ping")


def test_a_gone_reader_leaves_nothing_behind(settings: BackendSettings, make_run: MakeRun) -> None:
    run = make_run()
    append(run, 10)
    with served(settings) as (backend, port):
        for _ in range(10):
            with reading(port, stream_of(run, -1)) as reader:
                message(reader)
        wait_until(lambda: not backend.feeds)


def kinds_until(reader: ClientConnection, wanted: str) -> dict[str, object]:
    while True:
        got = message(reader)
        if got["kind"] == wanted:
            return got


def test_the_workspace_stream_says_how_things_stand_then_what_changes(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    with served(settings) as (_, port), reading(port, "/api/stream") as reader:
        assert message(reader)["kind"] == "queue"
        assert kinds_until(reader, "system")["system"]["memory_total_gb"] > 0  # type: ignore[index]
        run = make_run(steps=2)
        got = kinds_until(reader, "run")
        assert got["run"]["run_id"] == run.run_id  # type: ignore[index]
        kinds_until(reader, "system")
        # Moved away and not removed piece by piece, which the backend's writes could disturb.
        run.path.rename(run.path.parent.parent / "elsewhere")
        assert kinds_until(reader, "removed")["run_id"] == run.run_id


def test_a_run_of_the_command_line_appears_in_the_list(
    settings: BackendSettings, make_run: MakeRun
) -> None:
    with served(settings) as (backend, _):
        run = make_run(steps=3)
        wait_until(lambda: backend.index.get(run.run_id) is not None, seconds=30)
        with EventWriter(run.events_file) as writer:
            writer.write(RunPaused(step=3))
        run.path.touch()
        wait_until(lambda: state_of(backend, run) == "paused", seconds=30)


def state_of(backend: Backend, run: RunDirectory) -> str:
    summary = backend.index.get(run.run_id)
    return "" if summary is None else summary.state
