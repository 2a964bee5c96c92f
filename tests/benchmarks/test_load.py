"""The load test counts what readers miss, and its parts work together at a tiny scale."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load import Setting, measure_streaming
from benchmarks.processes import complete_share
from benchmarks.readers import Reader, report
from benchmarks.suite import headlines_of

SPREAD = {"median": 0.3, "low": 0.2, "high": 0.4}


def message(*seqs: int) -> str:
    events = ",".join(f'{{"seq":{seq},"time":0.0,"kind":"warning"}}' for seq in seqs)
    return f'{{"kind":"events","first":{seqs[0]},"last":{seqs[-1]},"events":[{events}]}}'


def test_a_reader_that_gets_everything_is_complete() -> None:
    reader = Reader(3, 3)
    reader.hear('{"kind":"ping","time":1.0}')
    reader.hear(message(3, 4))
    reader.hear(message(5))
    found = report([reader])
    assert (found.num_complete, found.fewest_events, found.most_events) == (1, 3, 3)
    assert complete_share(found) == 1.0


@pytest.mark.parametrize("seqs", [(0, 2), (0, 0), (1, 0)])
def test_a_lost_doubled_or_swapped_event_is_a_fault(seqs: tuple[int, ...]) -> None:
    whole, faulty = Reader(0, 0), Reader(0, 0)
    whole.hear(message(0, 1))
    faulty.hear(message(*seqs))
    found = report([whole, faulty])
    assert found.num_complete == 1
    assert found.faults
    assert complete_share(found) < 1.0


def test_a_reader_that_is_behind_is_not_complete() -> None:
    whole, behind = Reader(0, 0), Reader(0, 0)
    whole.hear(message(0, 1))
    behind.hear(message(0))
    assert complete_share(report([whole, behind])) == 0.0


def test_the_load_promises_whole_streams_little_cpu_and_undisturbed_training() -> None:
    result = {
        "streaming": {"backend_cores": SPREAD, "complete_share": 0.995},
        "training": {"step_ratio": SPREAD, "step_cpu_ratio": SPREAD},
    }
    whole, cores, step, cpu = headlines_of("load", result)
    assert (whole.median, whole.at_least, whole.holds) == (0.995, 1.0, False)
    assert (cores.at_most, cores.holds) == (0.5, True)
    assert (step.at_most, cpu.limit) == (1.02, "")


def test_readers_in_another_process_get_every_event_of_a_third(tmp_path: Path) -> None:
    setting = Setting(num_readers=5, events_per_second=50.0, num_events=30, window_seconds=0.1)
    found = measure_streaming(tmp_path / "a workspace", setting, repeats=1)
    assert found["complete_share"] == 1.0
