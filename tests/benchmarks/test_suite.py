"""The suite runs benchmarks by name, says which promises are kept, and draws them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.suite import Headline, headlines_of, plot, run_suite

SPREAD = {"median": 0.5, "low": 0.4, "high": 0.6}


def test_a_promise_is_kept_at_its_limit_and_broken_beyond_it() -> None:
    line = Headline("sampling", "times faster", 2.0, 1.5, 2.5, at_least=2.0)
    assert line.holds
    assert line.limit == "at least 2"
    assert not replace(line, median=1.99).holds
    ceiling = Headline("cache", "share", 0.5, 0.4, 0.6, at_most=0.5)
    assert ceiling.holds
    assert not replace(ceiling, median=0.51).holds
    assert Headline("step", "share", 9, 9, 9).holds


def test_a_fused_divergence_promises_time_and_memory() -> None:
    result = {"divergences": {"jsd": {"time_ratio": SPREAD, "memory_ratio": 0.13}}}
    time, memory = headlines_of("divergence", result)
    assert (time.median, time.at_most, time.holds) == (0.5, 0.7, True)
    assert (memory.median, memory.at_most, memory.holds) == (0.13, 0.12, False)


def test_the_sampling_loop_promises_a_floor_for_each_known_rival() -> None:
    comparison = {"ratio": {"median": 5.0, "low": 4.0, "high": 6.0}}
    result = {"comparisons": {"one_by_one": comparison, "another": comparison}}
    known, other = headlines_of("sampling", result)
    assert (known.at_least, known.holds) == (2.0, True)
    assert (other.limit, other.holds) == ("", True)


def test_shares_and_savings_are_headlines_too() -> None:
    (share,) = headlines_of("step", {"shares": {"scoring": SPREAD}})
    assert (share.label, share.median) == ("scoring: share of a step", 0.5)
    ratio, speedup = headlines_of("cache", {"share_ratio": SPREAD, "step_speedup": SPREAD})
    assert (ratio.at_most, speedup.at_most) == (0.5, None)


def test_a_result_that_lacks_a_ratio_is_an_error() -> None:
    with pytest.raises(ValueError, match="share_ratio"):
        list(headlines_of("cache", {}))


def test_headlines_are_drawn(tmp_path: Path) -> None:
    lines = [
        Headline("sampling", "times faster", 2.0, 1.5, 2.5, at_least=1.0),
        Headline("cache", "share", 0.6, 0.4, 0.7, at_most=0.5),
    ]
    plot(lines, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_the_cache_saves_the_teachers_time_even_at_a_tiny_scale(tmp_path: Path) -> None:
    results, headlines = run_suite(["cache"], repeats=1, quick=True, folder=tmp_path)
    assert list(results) == ["cache"]
    written = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    assert written["quick"] is True
    assert written["results"]["cache"]["warm_hit_rate"]["median"] == 1.0
    assert len(written["headlines"]) == len(headlines) == 2
    assert (tmp_path / "benchmarks.png").is_file()
