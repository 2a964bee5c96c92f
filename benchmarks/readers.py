"""Many websocket readers of one run in one process, each checking that it gets every event once.

Told by arguments whom to read; says `connected` when every reader has its first message, reads
until its standard input is closed (with `--until SEQ`, until everybody has that event or patience
ends after that), and ends with one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.backend_process import headers

CONNECTING_AT_ONCE = 20
PATIENCE_SECONDS = 20.0


class _Event(BaseModel):
    seq: int
    time: float


class _Message(BaseModel):
    kind: str
    events: tuple[_Event, ...] = ()


class Latency(BaseModel):
    """Milliseconds from writing an event to having read it, over all readers and events."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class ReadersReport(BaseModel):
    """What all readers saw; the numbers of events are the smallest and largest of any reader."""

    num_readers: int
    num_complete: int
    fewest_events: int
    most_events: int
    cpu_seconds: float
    latency: Latency | None
    faults: tuple[str, ...]


@dataclass(slots=True)
class Reader:
    """One reader: the number it expects next, how late events came, what went wrong."""

    first: int
    expected: int
    delays: list[float] = field(default_factory=list)
    fault: str | None = None

    @property
    def num_events(self) -> int:
        """Events read."""
        return self.expected - self.first

    def hear(self, text: str | bytes) -> None:
        """Check one message."""
        now = time.time()
        for event in _Message.model_validate_json(text).events:
            if event.seq != self.expected and self.fault is None:
                self.fault = f"got event {event.seq} instead of {self.expected}"
            self.expected = event.seq + 1
            self.delays.append(now - event.time)


async def read_run(url: str, num_readers: int, after: int, until: int | None) -> ReadersReport:
    """Let many readers follow a run."""
    readers = [Reader(after + 1, after + 1) for _ in range(num_readers)]
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)
    connections = await asyncio.gather(*(_connect(url, gate) for _ in readers))
    pairs = list(zip(readers, connections, strict=True))
    tasks = [asyncio.create_task(_follow(*pair, until)) for pair in pairs]
    sys.stdout.write("connected\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await asyncio.wait(tasks, timeout=0 if until is None else PATIENCE_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(connection.close() for connection in connections))
    return report(readers)


async def _connect(url: str, gate: asyncio.Semaphore) -> ClientConnection:
    async with gate:
        connection = await connect(
            url,
            additional_headers=headers(),
            compression=None,
            ping_interval=None,
            max_size=None,
            open_timeout=60,
        )
        await connection.recv()  # how the run stands
        return connection


async def _follow(reader: Reader, connection: ClientConnection, until: int | None) -> None:
    try:
        while until is None or reader.expected <= until:
            reader.hear(await connection.recv())
    except ConnectionClosed as closed:
        reader.fault = f"cut off: {closed}"


def report(readers: Sequence[Reader]) -> ReadersReport:
    """Sum up; a reader is complete when it missed nothing that any reader got."""
    most = max(reader.num_events for reader in readers)
    delays = [1000 * delay for reader in readers for delay in reader.delays]
    return ReadersReport(
        num_readers=len(readers),
        num_complete=sum(reader.fault is None for reader in readers),
        fewest_events=min(reader.num_events for reader in readers),
        most_events=most,
        cpu_seconds=time.process_time(),
        latency=latency(delays),
        faults=tuple(reader.fault for reader in readers if reader.fault is not None)[:5],
    )


def latency(delays: Sequence[float]) -> Latency | None:
    """Percentiles of delays in milliseconds; None where there are too few."""
    if len(delays) < 2:
        return None
    cuts = statistics.quantiles(delays, n=100)
    return Latency(p50_ms=cuts[49], p95_ms=cuts[94], p99_ms=cuts[98], max_ms=max(delays))


def main() -> None:
    """Read as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="stream address, with after=SEQ")
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--after", type=int, default=-1)
    parser.add_argument("--until", type=int)
    given = parser.parse_args()
    result = asyncio.run(read_run(given.url, given.readers, given.after, given.until))
    print(json.dumps(result.model_dump()))


if __name__ == "__main__":
    main()
