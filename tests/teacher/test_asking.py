"""Requests to a served teacher: what is sent again, what is said in words, and what never is."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from pydantic import JsonValue

from OnPolicyDistill.errors import ConfigError, RunError, StoppedError
from OnPolicyDistill.settings.endpoint import TeacherEndpoint
from OnPolicyDistill.stopping import stoppable
from OnPolicyDistill.teacher import asking
from OnPolicyDistill.teacher.asking import Asking, wait
from tests.recorded_servers import Answer, answering, as_json

KEY = "a-key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(asking, "LONGEST_PAUSE_SECONDS", 0.01)


def endpoint(url: str, **settings: object) -> TeacherEndpoint:
    return TeacherEndpoint.model_validate({"url": url, "model": "big", **settings})


def asked(place: TeacherEndpoint, body: JsonValue = None) -> JsonValue:
    line = Asking(place)
    try:
        return wait(line.ask("/v1/completions", body, lambda answer: answer))
    finally:
        line.close()


TRANSIENT: list[Answer] = [
    (429, b"", {"retry-after": "1"}),
    (500, b"oops", {}),
    (503, b"", {}),
    (200, b'{"choices": [', {}),
    (200, b'{"cut', {"content-length": "900"}),
    (200, None, {}),
]


@pytest.mark.parametrize("answer", TRANSIENT)
def test_what_is_refused_for_now_or_cut_off_is_asked_again(answer: Answer) -> None:
    with answering(lambda n, _: answer if n < 2 else as_json({"n": n})) as heard:
        assert asked(endpoint(heard.url)) == {"n": 2}
    assert len(heard.requests) == 3


def test_after_the_last_try_the_reason_is_said() -> None:
    with answering(lambda _, __: (503, b"", {})) as heard, pytest.raises(RunError) as failed:
        asked(endpoint(heard.url, retries=2))
    assert len(heard.requests) == 3
    assert "was asked 3 times in vain: it answered with status 503" in failed.value.message
    assert heard.url in failed.value.message


def test_nobody_there_is_said_in_words() -> None:
    with answering(lambda _, __: as_json({})) as heard:
        pass
    with pytest.raises(RunError, match="in vain: the connection failed"):
        asked(endpoint(heard.url, retries=1))


def test_what_takes_too_long_is_said_in_words() -> None:
    late = threading.Event()

    def reply(_number: int, _body: JsonValue) -> Answer:
        late.wait(5)
        return as_json({})

    with answering(reply) as heard:
        with pytest.raises(RunError, match=r"did not answer within 0\.05 seconds"):
            asked(endpoint(heard.url, retries=0, timeout_s=0.05))
        late.set()


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_refusal_is_not_asked_again_and_no_redirection_followed(status: int) -> None:
    headers = {"location": "http://127.0.0.1:9/elsewhere"}
    refused = pytest.raises(RunError, match=f"status {status}: no such model")
    with answering(lambda _, __: (status, b"no such model", headers)) as heard, refused:
        asked(endpoint(heard.url))
    assert len(heard.requests) == 1


def test_the_key_comes_from_the_environment_and_is_in_no_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEACHER_KEY", KEY)
    with answering(lambda _, __: (401, f"bad key {KEY}".encode(), {})) as heard:
        place = endpoint(heard.url, key_env="TEACHER_KEY")
        with pytest.raises(RunError) as failed:
            asked(place)
    headers = {name.lower(): value for name, value in heard.requests[0][1].items()}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in str(failed.value)
    assert KEY not in place.model_dump_json()
    assert "TEACHER_KEY holds the server's key" in failed.value.action


def test_a_key_that_is_not_set_is_told_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    with pytest.raises(ConfigError, match="TEACHER_KEY holds no key"):
        Asking(endpoint("http://127.0.0.1:9", key_env="TEACHER_KEY"))


@pytest.fixture
def held() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_the_queue_is_bounded_and_a_stop_is_heard_while_waiting(held: threading.Event) -> None:
    def reply(_number: int, _body: JsonValue) -> Answer:
        held.wait(5)
        return as_json({})

    with answering(reply) as heard:
        line = Asking(endpoint(heard.url, in_flight=1))
        futures = [line.offer("/x", {}, lambda a: a) for _ in range(asking.WAITING_PER_THREAD + 5)]
        assert futures[0] is not None
        assert futures[-1] is None
        with stoppable(lambda: True), pytest.raises(StoppedError):
            wait(futures[0])
        held.set()
        line.close()


def test_at_most_as_many_requests_are_under_way_as_the_settings_say() -> None:
    now, most, lock = 0, 0, threading.Lock()

    def reply(_number: int, _body: JsonValue) -> Answer:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.02)
        with lock:
            now -= 1
        return as_json({})

    with answering(reply) as heard:
        line = Asking(endpoint(heard.url, in_flight=2))
        for future in [line.ask("/x", {}, lambda a: a) for _ in range(8)]:
            wait(future)
        line.close()
    assert most == 2
