"""Behind the door: a process that answers each question in a child of its own.

It loads what reading needs once and then only forks, so that a question costs milliseconds. It
stays single-threaded and reads no model's file itself. Run as `python -m backend.door.behind`,
with a socket as its standard input; each message is a length, a question and the end of a pipe.
What the child writes into the pipe is a line with its process id, and then the answer.

A child is limited by the system: address space, processor time, no core file, no children. The one
who asks watches its memory besides, and its time, since macOS takes no heed of the first.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Mapping

from backend.door.questions import QUESTION, Question
from OnPolicyDistill.errors import ConfigError, DistillError
from OnPolicyDistill.registry import all_models

LENGTH_BYTES = 8
MAX_QUESTION_BYTES = 16_000_000
# Address space is more than memory: libraries and what is mapped count.
ADDRESS_SPACE_FACTOR = 3


def main() -> None:
    """Answer until the other end of the socket closes."""
    # Ended children vanish by themselves; nobody asks how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    all_models()  # read here, not by each child
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as door:
        while True:
            message, pipes, _, _ = socket.recv_fds(door, LENGTH_BYTES, 1)
            if not message:
                return
            length = int.from_bytes(_all_of(door, LENGTH_BYTES, message), "little")
            payload = _all_of(door, min(length, MAX_QUESTION_BYTES), b"")
            if os.fork() == 0:
                # The asker sees that the door is closed when its own process ends, not a child's.
                door.close()
                os.close(sys.stdin.fileno())
                _answer_and_end(payload, pipes[0])
            os.close(pipes[0])


def _all_of(door: socket.socket, length: int, begun: bytes) -> bytes:
    parts, missing = [begun], length - len(begun)
    while missing > 0:
        part = door.recv(missing)
        if not part:
            raise SystemExit(0)
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _answer_and_end(payload: bytes, pipe: int) -> None:
    """In the child: say who it is, answer, and end without coming back."""
    code = 1
    # What libraries print about a damaged file has no end of its own.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    try:
        with os.fdopen(pipe, "wb") as out:
            out.write(f"{os.getpid()}\n".encode())
            out.flush()
            question = QUESTION.validate_json(payload)
            _limit(question)
            out.write(answer_of(question))
        code = 0
    finally:
        os._exit(code)


def answer_of(question: Question) -> bytes:
    """The answer as JSON under `answer`, or under `error` what went wrong."""
    try:
        answer = question.answer().model_dump_json()
        return f'{{"answer":{answer}}}'.encode()
    except DistillError as error:
        return _error(error)
    except MemoryError:
        return json.dumps({"error": {"type": "memory"}}).encode()
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()
        return json.dumps({"error": {"type": "damaged", "message": reason[:300]}}).encode()


def _error(error: DistillError) -> bytes:
    told: Mapping[str, object] = {
        "type": type(error).__name__,
        "message": error.message,
        "action": error.action,
        "locations": error.locations if isinstance(error, ConfigError) else (),
    }
    return json.dumps({"error": told}).encode("utf-8", "backslashreplace")


def _limit(question: Question) -> None:
    limits = question.limits
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes * ADDRESS_SPACE_FACTOR),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        if hard == resource.RLIM_INFINITY or most < hard:
            resource.setrlimit(kind, (most, hard))


if __name__ == "__main__":
    main()
