"""Many websocket readers of one run: what they get, what the backend needs, what training feels.

A backend, a writer at 20 events a second and all readers are processes of their own on loopback.
The backend's CPU time is counted while events flow, in `repeats` equal parts of the writing.
benchmarks/load_on_training.py does the other half.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import psutil

from benchmarks.backend_process import running_backend
from benchmarks.load_on_training import measure_training
from benchmarks.processes import (
    Moment,
    complete_share,
    last_words,
    readers_report,
    reading,
    started,
    tell,
)
from benchmarks.spread import Spread, spread
from OnPolicyDistill.config import parse_config
from OnPolicyDistill.runs.directory import create_run


@dataclass(frozen=True, slots=True)
class Setting:
    """Sizes of the measurement; `window_seconds` is one window of training."""

    num_readers: int
    events_per_second: float
    num_events: int
    window_seconds: float


FULL = Setting(200, 20.0, 400, 4.0)
QUICK = Setting(20, 20.0, 40, 1.0)


def measure(repeats: int, quick: bool) -> dict[str, object]:
    """Measure both halves; plain JSON values."""
    setting = QUICK if quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        streaming = measure_streaming(Path(folder) / "streaming", setting, repeats)
        training = measure_training(
            Path(folder) / "training", setting.num_readers, setting.window_seconds, repeats
        )
    return {
        "setting": asdict(setting),
        "repeats": repeats,
        "num_cores": psutil.cpu_count(),
        "load_average": psutil.getloadavg()[0],
        "streaming": streaming,
        "training": training,
    }


def measure_streaming(workspace: Path, setting: Setting, repeats: int) -> dict[str, object]:
    """Let everybody read one run while it is written; plain JSON values."""
    values = {"validation_prompts": str(workspace / "none.jsonl")}
    with running_backend(workspace) as backend:
        run = create_run(workspace, parse_config({"distillation": values}))
        server = psutil.Process(backend.process.pid)
        before = Moment.of(server)
        writing = (str(run.path), "--rate", str(setting.events_per_second))
        count = ("--count", str(setting.num_events))
        last = setting.num_events - 1
        with (
            started("benchmarks.event_writer", *writing, *count) as writer,
            reading(backend, run, setting.num_readers, -1, last) as readers,
        ):
            connected = Moment.of(server)
            tell(writer)
            seconds = setting.num_events / setting.events_per_second
            shares = _watch(server, seconds, repeats)
            written = json.loads(last_words(writer))
            found = readers_report(readers)
    is_whole = found.most_events == setting.num_events
    return {
        "backend_cores": asdict(shares),
        "connecting_cpu_seconds": connected.cpu - before.cpu,
        "complete_share": complete_share(found) if is_whole else 0.0,
        "readers": found.model_dump(),
        "writer": written,
    }


def _watch(server: psutil.Process, seconds: float, parts: int) -> Spread:
    """Return the share of one core that a process takes, part by part."""
    moments = [Moment.of(server)]
    for _ in range(parts):
        time.sleep(seconds / parts)
        moments.append(Moment.of(server))
    return spread([earlier.cores_until(later) for earlier, later in pairwise(moments)])


def main() -> None:
    """Measure once and print."""
    print(json.dumps(measure(repeats=3, quick=False), indent=2))


if __name__ == "__main__":
    main()
