"""How long the prompts of a set are: a histogram with doubling bins and a few quantiles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LengthUnit = Literal["tokens", "characters"]


class LengthBin(BaseModel):
    """Prompts of `low` to `high` units, both included."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    low: int
    high: int
    count: int


class LengthHistogram(BaseModel):
    """Lengths of all prompts; tokens include the chat template where one was given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: LengthUnit
    bins: tuple[LengthBin, ...] = ()
    mean: float = 0.0
    median: int = 0
    p95: int = Field(0, description="95 of 100 prompts are not longer.")
    longest: int = 0
    total: int = 0


def histogram(lengths: Sequence[int], unit: LengthUnit) -> LengthHistogram:
    """Summarize lengths; bins are 1, 2-3, 4-7, 8-15 and so on, without gaps."""
    if not lengths:
        return LengthHistogram(unit=unit)
    ordered = sorted(lengths)
    counts = Counter(length.bit_length() for length in ordered)
    bins = tuple(
        LengthBin(low=(1 << bits) >> 1, high=(1 << bits) - 1, count=counts[bits])
        for bits in range(min(counts), max(counts) + 1)
    )
    return LengthHistogram(
        unit=unit,
        bins=bins,
        mean=sum(ordered) / len(ordered),
        median=ordered[len(ordered) // 2],
        p95=ordered[min(len(ordered) * 95 // 100, len(ordered) - 1)],
        longest=ordered[-1],
        total=sum(ordered),
    )
