"""Requests to a served teacher: a bounded queue, a few at once, sent again where that may help.

Threads send and wait, so that whoever asked can go on. They touch no MLX. What is refused for now
(429, 5xx), cut off or not answered in time is asked again after a pause that doubles; after the
last try the reason is said in words. Nothing follows a redirection, which would take the key along,
and no proxy of the environment is used.
"""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import httpx
from pydantic import JsonValue

from OnPolicyDistill.errors import ConfigError, DistillError, RunError
from OnPolicyDistill.settings.endpoint import TeacherEndpoint
from OnPolicyDistill.stopping import check_stop
from OnPolicyDistill.teacher.packed import AnswerError

T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
ASKED_AGAIN_SECONDS = 0.1
CONNECT_SECONDS = 10.0
WAITING_PER_THREAD = 4
MAX_ANSWER_BYTES = 2 * 2**30
MAX_HEAD_BYTES = 16 * 2**30
SHOWN_CHARACTERS = 300
RESUMABLE = "See that the server runs and can be reached; what was learned is in the checkpoint."


@dataclass(slots=True)
class _Job(Generic[T]):
    path: str
    body: bytes | None
    read: Callable[[bytes], T]
    max_bytes: int
    future: Future[T] = field(default_factory=Future)


class _AgainError(Exception):
    """Why a request is worth sending again, and how long the server wants to be left alone."""

    def __init__(self, reason: str, pause_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_seconds = pause_seconds


class RefusedError(RunError):
    """The server refuses a request, and would again; `status` is HTTP's."""

    def __init__(self, message: str, action: str, status: int) -> None:
        super().__init__(message, action)
        self.status = status


class Asking:
    """Asks one server, from `in_flight` threads, until it is closed."""

    def __init__(self, endpoint: TeacherEndpoint) -> None:
        self._endpoint = endpoint
        self._key = _key_of(endpoint)
        self._closed = threading.Event()
        self._jobs: queue.Queue[_Job[object]] = queue.Queue(WAITING_PER_THREAD * endpoint.in_flight)
        headers = {} if self._key is None else {"authorization": f"Bearer {self._key}"}
        self._client = httpx.Client(
            base_url=endpoint.base,
            headers=headers,
            timeout=httpx.Timeout(endpoint.timeout_s, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=endpoint.in_flight),
            follow_redirects=False,
            trust_env=False,
        )
        for _ in range(endpoint.in_flight):
            threading.Thread(target=self._serve, daemon=True).start()

    def offer(self, path: str, body: JsonValue, read: Callable[[JsonValue], T]) -> Future[T] | None:
        """Begin to ask, or None while too many questions wait already."""
        job = _post(path, body, read)
        try:
            self._jobs.put_nowait(job)  # type: ignore[arg-type]  # a queue of any answers
        except queue.Full:
            return None
        return job.future

    def ask(self, path: str, body: JsonValue, read: Callable[[JsonValue], T]) -> Future[T]:
        """Begin to ask as soon as there is room; a stop is heard meanwhile."""
        return self._put(_post(path, body, read))

    def fetch(self, path: str, read: Callable[[bytes], T]) -> T:
        """Get what is at a path and wait for it."""
        return wait(self._put(_Job(path, None, read, MAX_HEAD_BYTES)))

    def close(self) -> None:
        """Send nothing any more; what is under way comes to nothing."""
        self._closed.set()
        self._client.close()

    def _put(self, job: _Job[T]) -> Future[T]:
        while True:
            check_stop()
            try:
                self._jobs.put(job, timeout=ASKED_AGAIN_SECONDS)  # type: ignore[arg-type]
            except queue.Full:
                continue
            return job.future

    def _serve(self) -> None:
        while not self._closed.is_set():
            try:
                job = self._jobs.get(timeout=ASKED_AGAIN_SECONDS)
            except queue.Empty:
                continue
            try:
                job.future.set_result(self._answer(job))
            except DistillError as error:
                job.future.set_exception(error)

    def _answer(self, job: _Job[T]) -> T:
        reason = ""
        for attempt in range(self._endpoint.retries + 1):
            try:
                return self._try(job)
            except _AgainError as error:
                reason = str(error)
                pause = min(FIRST_PAUSE_SECONDS * 2**attempt, LONGEST_PAUSE_SECONDS)
                asked_for = min(error.pause_seconds, LONGEST_PAUSE_SECONDS)
                if attempt < self._endpoint.retries and self._closed.wait(max(pause, asked_for)):
                    break
        tries = self._endpoint.retries + 1
        often = "once" if tries == 1 else f"{tries} times"
        raise RunError(
            f"The teacher at {self._endpoint.base} was asked {often} in vain: {reason}.", RESUMABLE
        )

    def _try(self, job: _Job[T]) -> T:
        try:
            return job.read(self._send(job))
        except httpx.TimeoutException as error:
            seconds = f"{self._endpoint.timeout_s:g} seconds"
            raise _AgainError(f"it did not answer within {seconds}") from error
        except httpx.TransportError as error:
            what = self._without_key(str(error) or type(error).__name__)
            raise _AgainError(f"the connection failed ({what})") from error
        except (httpx.HTTPError, httpx.StreamError, RuntimeError) as error:
            # A client that is closed while it sends says so by a RuntimeError.
            raise _AgainError(f"the request failed ({type(error).__name__})") from error
        except AnswerError as error:
            raise _AgainError(f"its answer {error}") from error

    def _send(self, job: _Job[T]) -> bytes:
        method = "GET" if job.body is None else "POST"
        headers = {} if job.body is None else {"content-type": "application/json"}
        with self._client.stream(method, job.path, content=job.body, headers=headers) as response:
            content = bytearray()
            for part in response.iter_bytes():
                content += part
                if len(content) > job.max_bytes:
                    raise self._refused(response, "sends more than was asked for")
        if response.status_code == httpx.codes.OK:
            return bytes(content)
        self._refuse(response, bytes(content))
        raise AssertionError

    def _refuse(self, response: httpx.Response, content: bytes) -> None:
        status = response.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:
            wanted = response.headers.get("retry-after", "")
            pause = float(wanted) if wanted.isdecimal() and len(wanted) < 6 else 0.0
            raise _AgainError(f"it answered with status {status}", pause)
        said = self._without_key(content.decode("utf-8", "replace")[:SHOWN_CHARACTERS].strip())
        raise self._refused(response, f"refuses with status {status}: {said or 'no reason given'}")

    def _refused(self, response: httpx.Response, what: str) -> RefusedError:
        status, name = response.status_code, self._endpoint.key_env
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            action = "Name the variable that holds its key in teacher_endpoint.key_env."
            if name is not None:
                action = f"See that the variable {name} holds the server's key."
        else:
            action = "Compare teacher_endpoint's url, model, server and top_k with the server's."
        return RefusedError(f"The teacher at {self._endpoint.base} {what}.", action, status)

    def _without_key(self, text: str) -> str:
        return text if self._key is None else text.replace(self._key, "***")


def wait(future: Future[T]) -> T:
    """Wait for an answer; a stop is heard meanwhile.

    Raises:
        RunError: there will be none, with the reason.
        StoppedError: somebody wants this process to stop.
    """
    while True:
        check_stop()
        try:
            return future.result(timeout=ASKED_AGAIN_SECONDS)
        except TimeoutError:
            continue


def _post(path: str, body: JsonValue, read: Callable[[JsonValue], T]) -> _Job[T]:
    def read_json(content: bytes) -> T:
        try:
            value: JsonValue = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise AnswerError("is cut off or no JSON") from error
        return read(value)

    content = json.dumps(body, separators=(",", ":")).encode()
    return _Job(path, content, read_json, MAX_ANSWER_BYTES)


def _key_of(endpoint: TeacherEndpoint) -> str | None:
    """The key, from the environment alone.

    Raises:
        ConfigError: the variable is not set, or holds what no header can.
    """
    if endpoint.key_env is None:
        return None
    key = os.environ.get(endpoint.key_env, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigError(
            f"The variable {endpoint.key_env} holds no key for the teacher at {endpoint.base}.",
            f"Set {endpoint.key_env} where the run is started, or leave "
            "teacher_endpoint.key_env empty.",
        )
    return key
