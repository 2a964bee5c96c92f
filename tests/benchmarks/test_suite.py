"""The suite runs benchmarks by name, says which promises are kept, and draws them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.suite import NAMES, Headline, headlines_of, plot, run_suite, summary_of

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


def of_peers(step: float, memory: float) -> dict[str, object]:
    def around(value: float) -> dict[str, float]:
        return {"median": value, "low": value - 0.1, "high": value + 0.1}

    ratios = {"trl_distillation": {"step": around(step), "memory": around(memory)}}
    return {"ratios": ratios, "skipped": {}}


def test_the_figures_that_others_read_are_of_the_worst_shape_and_rival() -> None:
    comparisons = {
        "one_by_one": {"ratio": {"median": 0.1, "low": 0.1, "high": 0.1}},
        "batch_generator_4_rows": {"ratio": {"median": 1.5, "low": 1.4, "high": 1.6}},
        "batch_generator_tokens_only": {"ratio": {"median": 0.2, "low": 0.2, "high": 0.2}},
        "batch_generator_sliding": {"ratio": {"median": 1.1, "low": 1.0, "high": 1.2}},
    }
    share = {"accuracy_per_second": SPREAD}
    found = summary_of(
        {
            "peers": {"embedded": of_peers(0.8, 0.5), "larger": of_peers(0.9, 0.4)},
            "sampling": {"comparisons": comparisons},
            "footprint": {"growth": SPREAD},
            "prefix": {"100": share, "30": share, "seeds": 5},
        }
    )
    assert found == {
        "trl_step_ratio": {"median": 0.9, "low": 0.8, "high": 1.0},
        "trl_memory_ratio": {"median": 0.5, "low": 0.4, "high": 0.6},
        "batch_generator_ratio": {"median": 1.1, "low": 1.0, "high": 1.2},
        "footprint_growth": SPREAD,
        "prefix": {"100": share, "30": share},
    }


def test_a_rival_that_could_not_be_had_has_no_figure_and_no_promise() -> None:
    race = {"ratios": {}, "skipped": {"trl_distillation": "no network"}}
    assert summary_of({"peers": {"embedded": race}}) == {
        "trl_step_ratio": None,
        "trl_memory_ratio": None,
    }
    assert list(headlines_of("peers", {"embedded": race})) == []


def test_a_step_promises_nine_tenths_of_trls_time_and_six_of_its_memory() -> None:
    step, memory = headlines_of("peers", {"larger": of_peers(0.95, 0.6)})
    assert (step.at_most, step.holds) == (0.9, False)
    assert (memory.at_most, memory.holds) == (0.6, True)


def test_every_benchmark_has_headlines() -> None:
    for name in NAMES:
        with pytest.raises((ValueError, AssertionError)):
            list(headlines_of(name, None))


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
