import pytest

from benchmarks.footprint import growth, settled


def test_growth_is_what_the_last_tenth_holds_beyond_the_steps_around_the_fiftieth() -> None:
    memory = [0.5] * 20 + [1.0] * 430 + [1.03] * 50
    assert settled(memory) == 1.0
    assert growth(memory) == pytest.approx(0.03)


def test_memory_before_the_fiftieth_step_is_no_growth() -> None:
    assert growth([float(step) for step in range(45)] + [9.0] * 200) == 0
