"""How an exported student is measured again, after it was written."""

from __future__ import annotations

from pydantic import Field

from OnPolicyDistill.settings.strict import Settings


class MeasureSettings(Settings):
    """How many held-out prompts, how long completions are, and what counts as a loss."""

    num_prompts: int = Field(
        64,
        ge=2,
        le=100_000,
        title="Prompts measured",
        description="Held-out prompts, drawn evenly over the file.",
    )
    max_tokens: int = Field(
        256,
        ge=1,
        le=131_072,
        title="Longest completion",
        description="Longest completion that the adapter samples of them.",
    )
    max_row_tokens: int = Field(
        4096,
        ge=2,
        le=1_048_576,
        title="Longest row",
        description="Longer held-out rows are left out, and counted.",
    )
    batch_size: int = Field(
        8, ge=1, le=1024, title="Batch size", description="Rows that are read side by side."
    )
    max_lost_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        title="Most that may be lost",
        description="Share of the adapter's gain that an export may lose without a warning.",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Random seed", description="Where every random choice starts."
    )
