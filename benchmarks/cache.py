"""What the teacher cache saves when prompts come up again with the same completions.

A run on fixed rollouts goes over its prompts several times: in the first epoch the teacher scores,
from then on the cache answers. Compared is the teacher's share of the time within one run.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.pair import Pair, Scale, write_pair
from benchmarks.spread import spread
from benchmarks.step import FULL, QUICK, mean, share

EPOCHS = 3
ROWS_PER_STEP = 4


@dataclass(frozen=True, slots=True)
class Saving:
    """One run: the teacher's share of the time, seconds a step, and the cache's hit rate."""

    cold_share: float
    warm_share: float
    cold_seconds: float
    warm_seconds: float
    warm_hit_rate: float


def measure(repeats: int, quick: bool) -> dict[str, object]:
    """Train `repeats` runs over the same prompts again and again; plain JSON values."""
    scale = QUICK if quick else FULL
    scale = replace(scale, num_steps=EPOCHS * scale.num_prompts // ROWS_PER_STEP)
    with tempfile.TemporaryDirectory() as folder:
        pair = write_pair(Path(folder), scale)
        savings = [measure_run(pair, scale, seed) for seed in range(repeats)]
    return {
        "setting": asdict(scale),
        "repeats": repeats,
        "cold_share": asdict(spread([saving.cold_share for saving in savings])),
        "warm_share": asdict(spread([saving.warm_share for saving in savings])),
        "share_ratio": asdict(
            spread([saving.warm_share / saving.cold_share for saving in savings])
        ),
        "step_speedup": asdict(
            spread([saving.cold_seconds / saving.warm_seconds for saving in savings])
        ),
        "warm_hit_rate": asdict(spread([saving.warm_hit_rate for saving in savings])),
    }


def measure_run(pair: Pair, scale: Scale, seed: int) -> Saving:
    """Split one run into its first epoch and the rest; the first step compiles and is left out."""
    steps = pair.run(seed, fixed_rollouts=True)
    epoch = scale.num_prompts // ROWS_PER_STEP
    cold, warm = steps[1:epoch], steps[epoch:]
    return Saving(
        cold_share=share(cold, "scoring_seconds"),
        warm_share=share(warm, "scoring_seconds"),
        cold_seconds=mean(cold, "step_seconds"),
        warm_seconds=mean(warm, "step_seconds"),
        warm_hit_rate=mean(warm, "teacher_cache_hit_rate"),
    )
