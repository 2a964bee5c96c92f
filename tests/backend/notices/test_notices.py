"""Notices: a run that ends is told once, again where nobody answers, and little is said."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from backend.backend import Backend
from backend.history.views import RunSummary
from backend.notices import sending
from backend.notices.notices import Notices
from backend.notices.sending import NotSentError, is_forbidden, send
from backend.notices.views import Notice, NoticeSettings
from tests.backend.conftest import MakeRun, eventually

pytestmark = pytest.mark.timeout(60)
AT_ONCE = (0.0, 0.0, 0.0)
TRIAL = Notice(event="trial", text="Hello", sent=1.0)


@asynccontextmanager
async def listening(*answers: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that answers with the given status lines, one after the other, the last again."""
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        )
        body = await reader.readexactly(length)
        status = answers[min(len(heard), len(answers) - 1)]
        heard.append(head + body)
        writer.write(f"HTTP/1.1 {status}\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook?key=1", heard


def run_in(state: str, updated: float = 2e10) -> RunSummary:
    return RunSummary.model_validate(
        {"run_id": "distill_1", "name": "dates", "method": "on_policy", "state": state,
         "created": 1.0, "updated": updated, "student": "/secret/folder", "step": 7}
    )  # fmt: skip


async def test_a_run_that_ends_is_told_once_and_only_what_was_promised(tmp_path: Path) -> None:
    async with listening("204 No Content") as (url, heard):
        notices = Notices(tmp_path, AT_ONCE)
        notices.set(NoticeSettings(webhook_url=url))
        async with notices.running():
            for state in ("queued", "running", "finished", "finished"):
                notices.hear(run_in(state))
            await eventually(has(heard, 1))
            await eventually(delivered(notices))
    head, _, body = heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook?key=1 HTTP/1.1")
    assert b"authorization" not in head.lower()
    told = json.loads(body)
    assert told.keys() == {"event", "text", "sent", "run"}
    assert told["text"] == "The run “dates” has finished."
    assert told["run"] == {
        "id": "distill_1", "name": "dates", "method": "on_policy", "state": "finished",
        "step": 7, "num_steps": None,
    }  # fmt: skip
    assert len(heard) == 1


def has(heard: list[bytes], count: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return len(heard) >= count

    return look


def delivered(notices: Notices) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        last = notices.view().last
        return last is not None and last.was_taken

    return look


async def test_nothing_is_sent_unless_an_address_is_set_nor_of_old_runs(tmp_path: Path) -> None:
    sent: list[str] = []

    async def sends(url: str, _notice: Notice) -> str:
        sent.append(url)
        return "200 OK"

    notices = Notices(tmp_path, AT_ONCE, sends)
    async with notices.running():
        notices.hear(run_in("running"))
        notices.hear(run_in("failed"))
        await notices.try_out()
        notices.set(NoticeSettings(webhook_url="http://127.0.0.1:9/"))
        # Copied here from elsewhere: it ended before this backend began.
        notices.hear(run_in("finished", updated=1.0).model_copy(update={"run_id": "old"}))
        await asyncio.sleep(0.05)
        assert sent == []
        notices.hear(run_in("running"))
        notices.hear(run_in("interrupted"))
        await asyncio.sleep(0.05)
    assert sent == ["http://127.0.0.1:9/"]
    assert Notices(tmp_path).view().settings.webhook_url == "http://127.0.0.1:9/"


async def test_a_server_that_stumbles_is_asked_again_and_a_refusal_is_final(
    tmp_path: Path,
) -> None:
    for answers, num_tries, is_taken in (
        (("503 Busy", "500 Broken", "200 OK"), 3, True),
        (("500 Broken",), 3, False),
        (("404 Not Found",), 1, False),
        (("302 Found",), 1, False),
    ):
        async with listening(*answers) as (url, heard):
            notices = Notices(tmp_path, AT_ONCE)
            notices.set(NoticeSettings(webhook_url=url))
            await notices._deliver(url, TRIAL, AT_ONCE)
            last = notices.view().last
            assert last is not None
            assert (len(heard), last.was_taken) == (num_tries, is_taken), answers


@pytest.mark.parametrize(
    ("address", "is_refused"),
    [("169.254.169.254", True), ("fe80::1", True), ("::ffff:169.254.169.254", True),
     ("0.0.0.0", True), ("224.0.0.1", True), ("64:ff9b::a9fe:a9fe", True),
     ("2002:a9fe:a9fe::1", True), ("fd00:ec2::254", True), ("100.100.100.200", True),
     ("64:ff9b::5db8:d822", False), ("fd00::5", False),
     ("127.0.0.1", False), ("192.168.1.4", False), ("93.184.216.34", False)],
)  # fmt: skip
def test_addresses_of_the_link_are_not_asked(address: str, is_refused: bool) -> None:
    assert is_forbidden(address) is is_refused


async def test_a_name_that_means_such_an_address_is_refused_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def found(*_: object, **__: object) -> list[object]:
        return [(0, 0, 0, "", ("169.254.169.254", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
    with pytest.raises(NotSentError, match="not asked") as refusal:
        await send("http://innocent.example/", TRIAL)
    assert refusal.value.is_final


@pytest.mark.parametrize("url", ["http://999.1.1.1/", "http://[v1.a]/", "http://xn--/"])
async def test_an_address_that_no_client_understands_is_said_and_not_tried_again(
    client: httpx.AsyncClient, url: str
) -> None:
    await client.put("/api/notices", json={"webhook_url": url})
    trial = await client.post("/api/notices/try")
    assert trial.status_code == 200, trial.text
    assert trial.json()["last"]["was_taken"] is False
    with pytest.raises(NotSentError, match="no address") as refusal:
        await send(url, TRIAL)
    assert refusal.value.is_final


async def test_a_server_that_answers_letter_by_letter_does_not_hold_a_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_gone = asyncio.Event()

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(b"HTTP/1.1 200 OK\r\n")
            while not writer.is_closing():
                writer.write(b"x: y\r\n")
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()
        is_gone.set()

    monkeypatch.setattr(sending, "TIMEOUT_SECONDS", 0.3)
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    async with server:
        with pytest.raises(NotSentError, match="took more than"):
            await send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", TRIAL)
        await is_gone.wait()


@pytest.mark.parametrize(
    "url",
    ["ftp://host/", "file:///etc/passwd", "http://", "//host", "http://user:pass@host/",
     "http://host:0/", "http://host:99999/", "http://hóst/", "http://host/a b", "javascript:x"],
)  # fmt: skip
async def test_what_is_no_address_is_refused(client: httpx.AsyncClient, url: str) -> None:
    refused = await client.put("/api/notices", json={"webhook_url": url})
    assert refused.status_code == 422, url
    assert (await client.get("/api/notices")).json()["settings"] == {"webhook_url": None}


async def test_the_end_of_a_real_run_reaches_the_address(
    backend: Backend, live_client: httpx.AsyncClient, make_run: MakeRun
) -> None:
    async with listening("200 OK") as (url, heard):
        assert (await live_client.put("/api/notices", json={"webhook_url": url})).is_success
        trial = (await live_client.post("/api/notices/try")).json()
        assert (trial["last"]["was_taken"], trial["last"]["words"]) == (True, "200 OK")
        run = make_run("steps=2")
        assert (await live_client.post(f"/api/runs/{run.run_id}/start")).is_success
        await eventually(has(heard, 2))
    told = json.loads(heard[1].partition(b"\r\n\r\n")[2])
    assert (told["run"]["id"], told["run"]["state"]) == (run.run_id, "finished")
