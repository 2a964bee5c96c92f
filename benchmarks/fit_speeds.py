"""Fits the forecast's constants to published speeds, and shows how far off each row is.

    python -m benchmarks.fit_speeds

fits the rows at odd places of published_speeds.yaml, prints the constants for
OnPolicyDistill/planning/speeds.py, and every row's forecast over what was published: those that
were fitted and those that were not. Nothing is random, so it gives the same again.
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from OnPolicyDistill.config import read_yaml
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.chips import Chip, find_chip
from OnPolicyDistill.planning.dimensions import decoder_layers, parse_dimensions, weight_bytes
from OnPolicyDistill.planning.models import ModelFacts
from OnPolicyDistill.planning.passes import backward_passes, decode_seconds, read_seconds
from OnPolicyDistill.planning.speeds import METAL, Speeds
from OnPolicyDistill.registry import find_model

FILE = Path(__file__).with_name("published_speeds.yaml")
# Round guesses, so that a fit does not depend on what an earlier one found.
START = Speeds(
    bandwidth_share=0.8,
    layer_seconds=50e-6,
    expert_layer_seconds=50e-6,
    two_dies_seconds=50e-6,
    matrix_share=0.75,
    quantized_share=0.9,
    accelerators=2.5,
    row_share=0.3,
    tokens_for_half=50,
    backward_passes=3.0,
)
# Factors that each constant is tried with in turn, until none helps: from coarse to fine.
TRIED = (1.5, 1.2, 1.1, 1.05, 1.02, 1.01, 1.005)
ROUNDS = 200
# Beyond this ratio a row pulls no harder: one odd machine must not move the others.
PULLING = math.log(1.5)


class Row(BaseModel):
    """One published speed in tokens a second, or one gain."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    chip: str
    model: str
    bits: Literal[4, 8, 16]
    what: Literal["read", "decode", "gain", "learn"]
    published: float
    source: str
    before: float | None = None
    tokens: int = 0
    rows: int = 1
    context: int = 256
    accelerated: bool = True

    @property
    def title(self) -> str:
        """The row in a few words."""
        size = f" {self.tokens}" if self.tokens else ""
        rows = f" of {self.rows} rows" if self.rows > 1 else ""
        return f"{self.what}{size}{rows}, {self.chip}, {self.model}, {self.bits} bit"


class Published(BaseModel):
    """The file: rows, and the configurations of models that the registry does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: dict[str, dict[str, JsonValue]]
    rows: tuple[Row, ...]


@cache
def published() -> Published:
    """Read the file."""
    return Published.model_validate(read_yaml(FILE))


def halves(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row]]:
    """The rows that are fitted, and those that are only checked."""
    return rows[::2], rows[1::2]


def ratio(row: Row, speeds: Speeds = METAL) -> float:
    """What the forecast says over what was published; 1 is exact."""
    chip = find_chip(row.chip)
    chip = replace(chip, speeds=speeds, is_accelerated=chip.is_accelerated and row.accelerated)
    return _forecast(row, _facts(row), chip) / row.published


def fit(rows: Sequence[Row], start: Speeds = START) -> Speeds:
    """The constants that come closest to the rows, by trying each larger and smaller in turn."""
    best, error = start, distance(rows, start)
    for factor in TRIED:
        for _ in range(ROUNDS):
            before = error
            for name, value in asdict(best).items():
                for tried in (value * factor, value / factor):
                    speeds = replace(best, **{name: tried})
                    if (found := distance(rows, speeds)) < error:
                        best, error = speeds, found
            if error == before:
                break
    return best


def distance(rows: Sequence[Row], speeds: Speeds) -> float:
    """Mean of the squared log ratios, which grow only linearly from `PULLING` on."""
    return statistics.fmean(_pull(abs(math.log(ratio(row, speeds)))) for row in rows)


def off(rows: Sequence[Row], speeds: Speeds = METAL) -> list[float]:
    """By what factor each forecast is off, whichever way."""
    return [math.exp(abs(math.log(ratio(row, speeds)))) for row in rows]


def _pull(size: float) -> float:
    return size**2 if size < PULLING else PULLING * (2 * size - PULLING)


def _forecast(row: Row, facts: ModelFacts, chip: Chip) -> float:
    if row.what == "read":
        return row.tokens / read_seconds(facts, row.tokens, row.tokens, chip)
    if row.what == "learn":
        reading = read_seconds(facts, row.rows * row.tokens, row.tokens, chip)
        passes = 1 + backward_passes(chip, 1.0, recomputes=False, learns_all=False)
        return row.rows * row.tokens / (reading * passes)
    together = row.rows / decode_seconds(facts, row.rows, row.context, chip)
    if row.what == "decode":
        return together
    return together * decode_seconds(facts, 1, row.context, chip)


@cache
def _facts(row: Row) -> ModelFacts:
    # The file's own dimensions come first: with them the constants were fitted.
    config = published().models.get(row.model) or _known_config(row.model)
    packed = {} if row.bits == 16 else {"quantization": {"bits": row.bits}}
    dimensions = parse_dimensions({**config, **packed}, row.model)
    loaded, layers = weight_bytes(dimensions), decoder_layers(dimensions)
    return ModelFacts(row.model, dimensions, loaded, "registry", None, (), layers)


def _known_config(name: str) -> Mapping[str, object]:
    known = find_model(name)
    if known is None:
        raise ModelError(f"{name} is neither in the file nor known.", "Add its dimensions.")
    return known.config


def main() -> None:
    """Fit one half, and print the constants and every row."""
    write: Callable[[str], object] = sys.stdout.write
    rows = published().rows
    fitted, checked = halves(rows)
    speeds = fit(fitted)
    for name, value in asdict(speeds).items():
        write(f"{name:<21} {value:.3g}\n")
    for title, half in (("fitted", fitted), ("checked", checked)):
        errors = off(half, speeds)
        write(f"\n{title}: median {statistics.median(errors):.3f}, most {max(errors):.2f}\n")
        for row in half:
            before = "" if row.before is None else f"{row.before / row.published:.2f}"
            write(f"{ratio(row, speeds):5.2f}  before {before:>4}  {row.title}\n")


if __name__ == "__main__":
    main()
