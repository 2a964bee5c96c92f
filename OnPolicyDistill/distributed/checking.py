"""Hosts looked at before anything starts: are they reached, are they alike, how fast is the link.

Every host is asked at once, the first one here and the others over ssh, and says what it is
(distributed/answering.py). The links from this machine to each other one are then measured one
after the other, over the very addresses that the ranks will use.
"""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Lock

from pydantic import ValidationError

from OnPolicyDistill.distributed.answering import DATA, DONE, PING, HostAnswer
from OnPolicyDistill.distributed.hosts import Host, Hosts

SSH_SECONDS, ANSWER_SECONDS = 10, 60.0
SSH_OPTIONS = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={SSH_SECONDS}")
NUM_PINGS = 20
MEASURED_BYTES = 32_000_000
SHOWN_CHARACTERS = 300
_measuring = Lock()  # one link at a time, or they share this machine's port


@dataclass(frozen=True, slots=True)
class Link:
    """How fast this machine reaches a host: bytes sent to it, and there and back for one byte."""

    mb_per_second: float
    round_trip_ms: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A host with what it said, its link from here, and what stands against training with it."""

    host: Host
    answer: HostAnswer | None
    link: Link | None
    problems: tuple[str, ...]


def check_hosts(hosts: Hosts, models: Sequence[str], needed_gb: float | None) -> list[Checked]:
    """Ask every host what it is, and compare it with the first; `needed_gb` is a rank's forecast.

    Anything that is wrong is in the result: nothing is raised of a host that cannot be used.
    """
    here = hosts.hosts[0]
    with ThreadPoolExecutor(len(hosts.hosts)) as pool:
        asked = list(pool.map(lambda host: _ask(host, models, host is here), hosts.hosts))
    first = asked[0].answer
    return [_compared(one, first, needed_gb) for one in asked]


def with_measures(hosts: Hosts, checked: Sequence[Checked]) -> Hosts:
    """The hosts with what each said it is and how fast it was reached, for the forecast."""
    return hosts.model_copy(update={"hosts": tuple(map(_measured, checked))})


def _measured(one: Checked) -> Host:
    told: dict[str, object] = {}
    if one.answer is not None:
        told |= {"chip": one.answer.chip, "memory_gb": one.answer.memory_named_gb}
    if one.link is not None:
        told["mb_per_second"] = round(one.link.mb_per_second, 1)
        told["round_trip_ms"] = round(one.link.round_trip_ms, 3)
    return one.host.model_copy(update=told)


def _ask(host: Host, models: Sequence[str], is_here: bool) -> Checked:
    named = [part for model in models for part in ("--model", model)]
    command = [sys.executable, "-m", "OnPolicyDistill", "hosts", "answer", host.ips[0], *named]
    if not is_here:
        there = f"cd {shlex.quote(str(Path.cwd()))} && {shlex.join(command)}"
        command = ["ssh", *SSH_OPTIONS, host.ssh, there]
    try:
        asked = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    except OSError as error:
        return Checked(host, None, None, (f"{command[0]} cannot be run: {error.strerror}.",))
    with asked:
        return _listen(host, asked, is_here)


def _listen(host: Host, asked: subprocess.Popen[bytes], is_here: bool) -> Checked:
    """Read what a host says and measure the link to it; ends the command in any case."""
    assert asked.stdout is not None
    with ThreadPoolExecutor(1) as pool:
        line = pool.submit(asked.stdout.readline)
        try:
            answer = HostAnswer.model_validate_json(line.result(ANSWER_SECONDS))
        except (TimeoutError, ValidationError):
            asked.kill()
            return Checked(host, None, None, (_silence(asked),))
    try:
        with _measuring:
            link = None if is_here else measure_link(host.ips[0], answer.port)
        return Checked(host, answer, link, ())
    except OSError as error:
        problem = f"Its address {host.ips[0]} cannot be reached from here ({error})."
        return Checked(host, answer, None, (problem,))
    finally:
        asked.kill()


def _silence(asked: subprocess.Popen[bytes]) -> str:
    assert asked.stderr is not None
    lines = asked.stderr.read().decode("utf-8", "replace").strip().splitlines()
    said = lines[-1][:SHOWN_CHARACTERS] if lines else "nothing"
    return (
        f"It gave no answer; it said: {said}. It has to let ssh in without a password, and to have "
        f"this program at {sys.executable} and its files at {Path.cwd()}."
    )


def measure_link(address: str, port: int) -> Link:
    """Time single bytes there and back, then a long send with one byte back.

    Raises:
        OSError: the host cannot be reached.
    """
    with closing(socket.create_connection((address, port), SSH_SECONDS)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trips = []
        for _ in range(NUM_PINGS):
            start = time.perf_counter()
            link.sendall(PING)
            _expect(link, PING)
            trips.append(time.perf_counter() - start)
        link.settimeout(ANSWER_SECONDS)
        content = bytes(MEASURED_BYTES)
        start = time.perf_counter()
        link.sendall(DATA + MEASURED_BYTES.to_bytes(8, "big") + content)
        _expect(link, DONE)
        seconds = time.perf_counter() - start
    return Link(MEASURED_BYTES / seconds / 1e6, 1e3 * median(trips))


def _expect(link: socket.socket, wanted: bytes) -> None:
    if link.recv(1) != wanted:
        raise ConnectionError("it hung up")


def _compared(one: Checked, first: HostAnswer | None, needed_gb: float | None) -> Checked:
    problems = list(one.problems)
    answer = one.answer
    if answer is not None:
        missing = [name for name, files in answer.models.items() if files is None]
        problems += [f"The model {name} is not there." for name in missing]
        if needed_gb is not None and answer.free_gb < needed_gb:
            problems.append(
                f"{answer.free_gb:.1f} GB are free, and a rank needs {needed_gb:.1f} by forecast."
            )
    if answer is not None and first is not None:
        problems += _differences(answer, first)
    return Checked(one.host, answer, one.link, tuple(problems))


def _differences(answer: HostAnswer, first: HostAnswer) -> list[str]:
    """What must be alike and is not: ranks that compute otherwise drift apart."""
    versions = {"python": answer.python, **answer.packages}
    wanted = {"python": first.python, **first.packages}
    told = [
        f"It has {name} {versions[name]}, and the first host {wanted[name]}."
        for name in wanted
        if versions[name] != wanted[name]
    ]
    return told + [
        f"Its files of the model {name} differ from the first host's."
        for name, files in answer.models.items()
        if files is not None and first.models[name] not in (None, files)
    ]
