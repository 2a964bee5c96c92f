"""Every benchmark by name, what its ratios must reach, and one plot of them.

Each measurement is a module with `measure(repeats, quick)`; what is compared runs in turn in one
process, so the ratios mean something on a busy machine and absolute seconds do not.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict

from OnPolicyDistill.runs.reporting import describe_machine

NAMES = ("divergence", "sampling", "step", "cache", "load", "footprint", "peers", "prefix")
# Where a benchmark is not the module of its name.
MODULES = MappingProxyType({"peers": "benchmarks.peers.race"})
RESULTS_FILE = "benchmarks.json"
PLOT_FILE = "benchmarks.png"

# What issue and docs promise: the sampling loop against each other loop, at least.
SAMPLING_FLOORS = MappingProxyType(
    {
        "reread_prefix": 10.0,
        "one_by_one": 2.0,
        **dict.fromkeys(
            (
                "batch_generator",
                "batch_generator_1_row",
                "batch_generator_4_rows",
                "batch_generator_16_rows",
                "batch_generator_sliding",
                "batch_generator_recurrent",
            ),
            1.0,
        ),
    }
)
GROWTH_CEILING = 0.02
PEER_STEP_CEILING, PEER_MEMORY_CEILING = 0.9, 0.6
# The program whose ratio is a promise: TRL's own trainer of its name.
RIVAL = "trl_distillation"
TIME_CEILING = 0.7
MEMORY_CEILING = 0.12
CACHE_CEILING = 0.5
BACKEND_CORES_CEILING = 0.5
SLOWDOWN_CEILING = 1.02

GOOD = "#3b5bdb"
BAD = "#c92a2a"
NEUTRAL = "#868e96"


class Record(BaseModel):
    """A part of a result; what a headline does not need is left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class SpreadRecord(Record):
    """Median and range of the repeats."""

    median: float
    low: float
    high: float


class DivergenceRecord(Record):
    """One fused divergence against the plain one, as shares of the plain one's cost."""

    time_ratio: SpreadRecord
    memory_ratio: float


class DivergenceResult(Record):
    """What benchmarks/divergence.py returns."""

    divergences: dict[str, DivergenceRecord]


class ComparisonRecord(Record):
    """How many times faster our loop is."""

    ratio: SpreadRecord


class SamplingResult(Record):
    """What benchmarks/sampling.py returns."""

    comparisons: dict[str, ComparisonRecord]


class StepResult(Record):
    """What benchmarks/step.py returns."""

    shares: dict[str, SpreadRecord]


class CacheResult(Record):
    """What benchmarks/cache.py returns."""

    share_ratio: SpreadRecord
    step_speedup: SpreadRecord


class StreamingRecord(Record):
    """What many readers of one run got, and the backend's share of one core meanwhile."""

    backend_cores: SpreadRecord
    complete_share: float


class TrainingRecord(Record):
    """A step while many read, as a share of one while nobody does."""

    step_ratio: SpreadRecord
    step_cpu_ratio: SpreadRecord


class LoadResult(Record):
    """What benchmarks/load.py returns."""

    streaming: StreamingRecord
    training: TrainingRecord


class FootprintResult(Record):
    """What benchmarks/footprint.py returns."""

    growth: SpreadRecord


class PeerRecord(Record):
    """Our step and memory as shares of another program's."""

    step: SpreadRecord
    memory: SpreadRecord


class RaceRecord(Record):
    """One shape of benchmarks/peers/race.py, by program."""

    ratios: dict[str, PeerRecord]
    skipped: dict[str, str]


class PrefixRecord(Record):
    """One share of completions that is learned."""

    accuracy_per_second: SpreadRecord


class PrefixResult(Record):
    """What benchmarks/prefix.py returns: shares, among other things that are no shares."""

    @staticmethod
    def of(result: object) -> dict[str, PrefixRecord]:
        """The shares by name."""
        assert isinstance(result, dict)
        return {
            name: PrefixRecord.model_validate(found)
            for name, found in result.items()
            if isinstance(found, dict) and "accuracy_per_second" in found
        }


@dataclass(frozen=True, slots=True)
class Headline:
    """A measured ratio and what it has to reach, where it has to reach anything."""

    benchmark: str
    label: str
    median: float
    low: float
    high: float
    at_least: float | None = None
    at_most: float | None = None

    @property
    def holds(self) -> bool:
        """Whether the median is where it has to be."""
        above = self.at_least is None or self.median >= self.at_least
        return above and (self.at_most is None or self.median <= self.at_most)

    @property
    def limit(self) -> str:
        """What has to be reached, in words."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return "" if self.at_most is None else f"at most {self.at_most:g}"


def run_suite(
    names: Sequence[str], repeats: int, quick: bool, folder: Path
) -> tuple[dict[str, object], list[Headline]]:
    """Run benchmarks one after the other; writes benchmarks.json and benchmarks.png.

    Returns results by name and the headlines of all of them.
    """
    results: dict[str, object] = {}
    headlines: list[Headline] = []
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        result: object = importlib.import_module(MODULES.get(name, f"benchmarks.{name}")).measure(
            repeats, quick
        )
        results[name] = result
        headlines.extend(headlines_of(name, result))
        written = {
            "quick": quick,
            "repeats": repeats,
            "machine": describe_machine().model_dump(),
            **summary_of(results),
            "results": results,
            "headlines": [{**asdict(line), "holds": line.holds} for line in headlines],
        }
        text = json.dumps(written, indent=2) + "\n"
        (folder / RESULTS_FILE).write_text(text, encoding="utf-8")
    plot(headlines, folder / PLOT_FILE)
    return results, headlines


def headlines_of(name: str, result: object) -> Iterator[Headline]:
    """The ratios of a benchmark's result that a promise is about."""
    yield from HEADLINES[name](result)


def _headlines_of_divergence(result: object) -> Iterator[Headline]:
    name = "divergence"
    for key, found in DivergenceResult.model_validate(result).divergences.items():
        label, ratio = key.replace("_", " "), found.memory_ratio
        memory = SpreadRecord(median=ratio, low=ratio, high=ratio)
        yield _at_most(name, f"{label}: time of the plain one", found.time_ratio, TIME_CEILING)
        yield _at_most(name, f"{label}: memory of the plain one", memory, MEMORY_CEILING)


def _headlines_of_sampling(result: object) -> Iterator[Headline]:
    for label, pair in SamplingResult.model_validate(result).comparisons.items():
        text = f"times faster than {label.replace('_', ' ')}"
        yield _headline("sampling", text, pair.ratio, at_least=SAMPLING_FLOORS.get(label))


def _headlines_of_step(result: object) -> Iterator[Headline]:
    for label, share in StepResult.model_validate(result).shares.items():
        yield _headline("step", f"{label}: share of a step", share)


def _headlines_of_cache(result: object) -> Iterator[Headline]:
    saving = CacheResult.model_validate(result)
    text = "teacher's share of the time, warm / cold"
    yield _at_most("cache", text, saving.share_ratio, CACHE_CEILING)
    yield _headline("cache", "times faster steps from a warm cache", saving.step_speedup)


def _headlines_of_footprint(result: object) -> Iterator[Headline]:
    growth = FootprintResult.model_validate(result).growth
    text = "memory that ragged steps add after the 50th"
    yield _at_most("footprint", text, growth, GROWTH_CEILING)


def _headlines_of_prefix(result: object) -> Iterator[Headline]:
    for share, found in PrefixResult.of(result).items():
        label = f"accuracy a second, learning {share}"
        yield _headline("prefix", label, found.accuracy_per_second)


def _headlines_of_peers(result: object) -> Iterator[Headline]:
    for shape, race in _races(result).items():
        for peer, found in race.ratios.items():
            label, is_rival = f"{peer.replace('_', ' ')}, {shape}", peer == RIVAL
            step, memory = f"a step, of {label}", f"memory, of {label}"
            if is_rival:
                yield _at_most("peers", step, found.step, PEER_STEP_CEILING)
                yield _at_most("peers", memory, found.memory, PEER_MEMORY_CEILING)
            else:
                yield _headline("peers", step, found.step)
                yield _headline("peers", memory, found.memory)


def _races(result: object) -> dict[str, RaceRecord]:
    assert isinstance(result, dict)
    return {shape: RaceRecord.model_validate(race) for shape, race in result.items()}


def summary_of(results: Mapping[str, object]) -> dict[str, object]:
    """The figures that others read by key, each with median, low and high.

    Those of a shape or rival that is worst for us; null where TRL could not be had. Benchmarks that
    did not run have no keys.
    """
    summary: dict[str, object] = {}
    if "peers" in results:
        races = _races(results["peers"]).values()
        rivals = [race.ratios[RIVAL] for race in races if RIVAL in race.ratios]
        summary["trl_step_ratio"] = _worst([found.step for found in rivals], max)
        summary["trl_memory_ratio"] = _worst([found.memory for found in rivals], max)
    if "sampling" in results:
        pairs = SamplingResult.model_validate(results["sampling"]).comparisons
        rivals_of_sampling = [
            pair.ratio
            for name, pair in pairs.items()
            if name.startswith("batch_generator") and name in SAMPLING_FLOORS
        ]
        summary["batch_generator_ratio"] = _worst(rivals_of_sampling, min)
    if "footprint" in results:
        found = FootprintResult.model_validate(results["footprint"])
        summary["footprint_growth"] = found.growth.model_dump()
    if "prefix" in results:
        shares = PrefixResult.of(results["prefix"])
        summary["prefix"] = {name: share.model_dump() for name, share in shares.items()}
    return summary


def _worst(
    spreads: Sequence[SpreadRecord], pick: Callable[..., SpreadRecord]
) -> dict[str, float] | None:
    return pick(spreads, key=lambda found: found.median).model_dump() if spreads else None


def _headlines_of_load(result: object) -> Iterator[Headline]:
    found = LoadResult.model_validate(result)
    share = found.streaming.complete_share
    whole = SpreadRecord(median=share, low=share, high=share)
    yield _headline("load", "readers that got every event in order", whole, at_least=1.0)
    cores = found.streaming.backend_cores
    yield _at_most("load", "backend's share of one core", cores, BACKEND_CORES_CEILING)
    text = "a step while many read, of one while nobody does"
    yield _at_most("load", f"{text}: wall clock", found.training.step_ratio, SLOWDOWN_CEILING)
    yield _headline("load", f"{text}: CPU time", found.training.step_cpu_ratio)


HEADLINES: Mapping[str, Callable[[object], Iterator[Headline]]] = MappingProxyType(
    {
        "divergence": _headlines_of_divergence,
        "sampling": _headlines_of_sampling,
        "step": _headlines_of_step,
        "cache": _headlines_of_cache,
        "load": _headlines_of_load,
        "footprint": _headlines_of_footprint,
        "peers": _headlines_of_peers,
        "prefix": _headlines_of_prefix,
    }
)


def plot(headlines: Sequence[Headline], path: Path) -> None:
    """Draw one panel a benchmark: bars with ranges, and a line where the limit is."""
    names = [name for name in NAMES if any(line.benchmark == name for line in headlines)]
    heights = [sum(line.benchmark == name for line in headlines) + 1 for name in names]
    figure = Figure(figsize=(9, 0.34 * sum(heights) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(names), 1, squeeze=False, height_ratios=heights).flatten()
    for axes, name in zip(grid, names, strict=True):
        _draw(axes, name, [line for line in headlines if line.benchmark == name])
    figure.savefig(path, dpi=150, facecolor="white")


def _draw(axes: Axes, name: str, lines: list[Headline]) -> None:
    axes.set_title(name, loc="left", fontweight="bold", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0, labelsize=8)
    labels = [line.label for line in lines]
    medians = [line.median for line in lines]
    reach = [
        [line.median - line.low for line in lines],
        [line.high - line.median for line in lines],
    ]
    bars = axes.barh(labels, medians, xerr=reach, color=[_colour(line) for line in lines])
    texts = [f"  {line.median:.3g}  {line.limit}" for line in lines]
    axes.bar_label(bars, labels=texts, fontsize=8, padding=4)
    for place, line in enumerate(lines):
        limit = line.at_least if line.at_least is not None else line.at_most
        if limit is not None:
            axes.plot([limit, limit], [place - 0.45, place + 0.45], color="black", linewidth=1.2)
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_xlim(left=0)


def _colour(line: Headline) -> str:
    if not line.limit:
        return NEUTRAL
    return GOOD if line.holds else BAD


def _headline(
    benchmark: str, label: str, spread: SpreadRecord, at_least: float | None = None
) -> Headline:
    return Headline(benchmark, label, spread.median, spread.low, spread.high, at_least=at_least)


def _at_most(benchmark: str, label: str, spread: SpreadRecord, limit: float) -> Headline:
    return Headline(benchmark, label, spread.median, spread.low, spread.high, at_most=limit)
