"""The step of a run on Apple's chips at the speed of light, and what our forecast gives of it.

The speed of light reads every weight once a decoded token at the published bandwidth, multiplies at
the published arithmetic (accelerators and all), pays nothing for launching kernels and two forward
passes for a backward one. The forecast is that of `opd plan`, whose shares were fitted to published
speeds of others (planning/speeds.py). Neither is a measurement of ours.

python -m benchmarks.roofline: the table of docs/performance.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from OnPolicyDistill.config import load_config
from OnPolicyDistill.planning.chips import Chip, find_chip
from OnPolicyDistill.planning.lengths import count_held_out, measure_prompts
from OnPolicyDistill.planning.time import StepSeconds, forecast_time
from OnPolicyDistill.planning.workload import Workload, make_workload

CHIPS = ("m2-ultra", "m3-ultra", "m4-max", "m5-max")
PRESETS = ("default", "fast_mac")
CONFIGS = Path(__file__).parents[1] / "configs"
# The head has 16 bits, hence two bytes and two operations a weight and row: it is read as fast as
# it is multiplied where rows are operations a second over bytes a second.
BYTES_A_WEIGHT = OPERATIONS_A_WEIGHT = 2


@dataclass(frozen=True, slots=True)
class Row:
    """One preset on one chip; `rows_a_read` are a chunk's rows in the time of reading its head."""

    preset: str
    chip: str
    light: StepSeconds
    forecast: StepSeconds
    rows_a_read: float

    @property
    def share(self) -> float:
        """Of the speed of light that the forecast reaches."""
        return self.light.total / self.forecast.total


def at_light(chip: Chip) -> Chip:
    """The chip as if programs got all that its maker publishes."""
    speeds = replace(
        chip.speeds,
        bandwidth_share=1.0,
        layer_seconds=0.0,
        expert_layer_seconds=0.0,
        two_dies_seconds=0.0,
        matrix_share=1.0,
        quantized_share=1.0,
        row_share=1.0,
        tokens_for_half=0.0,
        backward_passes=2.0,
    )
    return replace(chip, speeds=speeds)


def rows() -> list[Row]:
    """Every preset on every chip."""
    return [row_of(preset, find_chip(name)) for preset in PRESETS for name in CHIPS]


def row_of(preset: str, chip: Chip) -> Row:
    """One preset on one chip."""
    work = workload_of(preset)
    light = at_light(chip)
    return Row(
        preset=preset,
        chip=chip.name,
        light=forecast_time(work, light).step,
        forecast=forecast_time(work, chip).step,
        rows_a_read=light.operations_per_second
        * BYTES_A_WEIGHT
        / (OPERATIONS_A_WEIGHT * light.bytes_per_second),
    )


def workload_of(preset: str) -> Workload:
    """What a preset's run has to do."""
    config = load_config(CONFIGS / f"{preset}.yaml")
    return make_workload(config, measure_prompts(config), count_held_out(config))


def table() -> str:
    """The rows in Markdown, seconds a step."""
    lines = [
        "| preset | chip | light: sampling, scoring, learning | forecast: the same | share "
        "| rows a read |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows():
        lines.append(
            f"| {row.preset} | {row.chip} | {_told(row.light)} | {_told(row.forecast)} "
            f"| {row.share:.2f} | {row.rows_a_read:.0f} |"
        )
    return "\n".join(lines)


def _told(step: StepSeconds) -> str:
    parts = ", ".join(f"{part:.1f}" for part in (step.sampling, step.scoring, step.learning))
    return f"{step.total:.1f} s ({parts})"


if __name__ == "__main__":
    print(table())
