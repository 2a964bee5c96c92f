"""How long a chart of a long run takes, over HTTP: first reads and later ones, at random zooms.

`first` is a restarted backend's first answer about the run, from what an earlier one kept of its
log; `indexing_seconds` is what the very first start takes, which reads the whole log.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import psutil

from benchmarks.backend_process import BackendProcess, running_backend
from benchmarks.event_writer import METRICS, events
from benchmarks.spread import spread
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.directory import RunDirectory, create_run

EVENTS_A_STEP = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """Sizes of the measurement; `px` is the width of a chart in points."""

    num_steps: int
    num_zooms: int
    px: int


FULL = Setting(100_000, 200, 1200)


def measure(workspace: Path, setting: Setting, restarts: int) -> dict[str, object]:
    """Write a long run and ask for its charts; times in ms, plain JSON values."""
    run = create_run(workspace, parse_config({"distillation": {}}))
    write_log(run, setting.num_steps)
    begun = time.monotonic()
    with running_backend(workspace) as backend:
        indexing_seconds = time.monotonic() - begun
        fresh, warm = ask(backend, run, setting)
    first, again = [], []
    for _ in range(restarts):
        with running_backend(workspace) as backend:
            answer, later = ask(backend, run, setting)
            first.append(answer)
            again += later
    num_answers = len(first) + len(warm) + len(again)
    return {
        "setting": asdict(setting),
        "load_average": psutil.getloadavg()[0],
        "log_megabytes": run.events_file.stat().st_size / 1e6,
        "indexing_seconds": indexing_seconds,
        "after_indexing_ms": fresh,
        "first_ms": asdict(spread(first)),
        "warm_ms": asdict(spread(warm + again)),
        "within_50_ms": sum(ms <= 50 for ms in (*first, *warm, *again)) / num_answers,
    }


def write_log(run: RunDirectory, num_steps: int) -> None:
    """Write the log of a run that took this many steps, with all its metrics."""
    with run.events_file.open("wb") as stream:
        for seq, event in enumerate(islice(events(run.run_id), 1 + EVENTS_A_STEP * num_steps)):
            numbered = event.model_copy(update={"seq": seq, "time": 1e9 + seq / 10})
            stream.write(numbered.model_dump_json().encode() + b"\n")


def ask(backend: BackendProcess, run: RunDirectory, setting: Setting) -> tuple[float, list[float]]:
    """Ask for a whole chart, then for random metrics at random zooms; returns times in ms."""
    # FastAPI prepares a router at its first request: 60 ms once, whatever is asked.
    backend.ask("/runs/none/marks")
    dice = random.Random(0)
    first = ask_once(backend, run, "loss", {"px": setting.px})
    later = []
    for _ in range(setting.num_zooms):
        width = round(setting.num_steps ** dice.random())
        begin = dice.randrange(setting.num_steps - width + 1)
        zoom = {"from": begin, "to": begin + width, "px": setting.px}
        later.append(ask_once(backend, run, dice.choice(METRICS), zoom))
    return first, later


def ask_once(backend: BackendProcess, run: RunDirectory, key: str, zoom: dict[str, int]) -> float:
    """Return how long one chart takes until its last byte is here, in ms."""
    query = "&".join(f"{name}={value}" for name, value in zoom.items())
    begun = time.monotonic()
    answer = backend.ask(f"/runs/{run.run_id}/metrics/{key}?{query}")
    taken = time.monotonic() - begun
    answer.raise_for_status()
    return 1000 * taken


def main() -> None:
    """Measure once and print."""
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), FULL, restarts=5), indent=2))


if __name__ == "__main__":
    main()
