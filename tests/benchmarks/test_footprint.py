import statistics
from pathlib import Path

import pytest

from benchmarks.footprint import growths, settled, trained


def test_growth_is_what_the_last_tenth_holds_beyond_the_steps_around_the_fiftieth() -> None:
    memory = [0.5] * 20 + [1.0] * 430 + [1.03] * 49 + [1.05]
    assert settled(memory) == 1.0
    found = growths(memory)
    assert len(found) == 50
    assert statistics.median(found) == pytest.approx(0.03)
    assert max(found) == pytest.approx(0.05)


def test_memory_before_the_fiftieth_step_is_no_growth() -> None:
    assert set(growths([float(step) for step in range(45)] + [9.0] * 200)) == {0}


def test_every_step_is_told_with_what_the_process_holds_and_what_it_took(tmp_path: Path) -> None:
    steps = trained(tmp_path, num_steps=3)
    assert len(steps) == 3
    assert all(0 < step.peak < step.process for step in steps)
