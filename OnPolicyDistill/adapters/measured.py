"""What was measured of an export after it was written, in figures and in words; loads no model.

Every figure is of the files themselves, opened as their user opens them. What a run measured of
its adapter while it trained is another thing, and is never shown as theirs.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

SMALLEST_SHOWN = 0.0005


class _Value(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


class Figure(_Value):
    """A mean over held-out prompts with its 95 % interval."""

    value: float
    low: float
    high: float


class Accuracies(_Value):
    """Shares of labelled prompts that greedy completions answer rightly; `change` is paired."""

    base: Figure
    adapter: Figure
    export: Figure
    change: Figure = Field(description="The export's minus the adapter's, prompt by prompt.")
    num_graded: int


class Difference(_Value):
    """An export beside the adapter that it was made of, on the same held-out tokens.

    Losses are nats a token of what `source` says; `kl` is KL(adapter || export) in nats a token,
    exact over the vocabulary.
    """

    source: str = Field(description="What it was measured on, as a sentence.")
    num_prompts: int
    num_tokens: int
    kl: Figure
    base_loss: Figure
    adapter_loss: Figure
    export_loss: Figure
    loss_change: Figure = Field(description="The export's loss minus the adapter's, paired.")
    kept_share: Figure | None = Field(
        description="Share of the adapter's gain over the base model that the export has too; "
        "null where the adapter gains nothing outside its interval."
    )
    accuracy: Accuracies | None = Field(description="Null where no prompt has a right answer.")
    is_lossy: bool = Field(description="Whether the export is really worse than its adapter.")


class NextStep(_Value):
    """What to type to use an export in a program; `language` is sh or python."""

    program: str
    commands: tuple[str, ...]
    language: str = "sh"


class Outcome(_Value):
    """What is known of an export once it is written.

    Exactly one of `measured` and `not_measured`, which is the reason, says something. `remedy` is
    the command that avoids what `warning` is about, where there is one.
    """

    measured: Difference | None = None
    not_measured: str = ""
    warning: str = ""
    remedy: str = ""
    next: tuple[NextStep, ...] = ()


def warn(measured: Difference, instead: str) -> str:
    """Say what was lost; empty where the export is as good as its adapter.

    `instead` are the options of `opd export` under which less is lost, empty where there are none.
    """
    if not measured.is_lossy:
        return ""
    kept = measured.kept_share
    if kept is not None and kept.value < 1:
        lost = 1 - max(kept.value, 0.0)
        parts = [f"These files lost {share(lost)} of what the adapter gained on held-out prompts."]
    else:
        change = measured.loss_change.value
        parts = [f"These files are worse than their adapter by {change:.4f} nats a token."]
    if measured.accuracy is not None and measured.accuracy.change.high < 0:
        parts.append(f"Accuracy changed by {points(measured.accuracy.change)}.")
    if instead:
        parts.append(f"With `{instead}` less is lost.")
    return " ".join(parts)


def table_rows(measured: Difference) -> list[tuple[str, ...]]:
    """Rows of a table: what was measured, of the base model, with the adapter, of these files."""
    losses = (measured.base_loss, measured.adapter_loss, measured.export_loss)
    rows: list[tuple[str, ...]] = [("Loss, nats a token", *map(nats, losses))]
    if measured.accuracy is not None:
        of = measured.accuracy
        rows.append(("Accuracy", *map(percent, (of.base, of.adapter, of.export))))
    return rows


def sentences(measured: Difference) -> list[str]:
    """What the table leaves out, each as a sentence."""
    said = [
        f"KL(adapter || export): {nats(measured.kl)} nats a token over {measured.num_tokens:,} "
        f"tokens.",
        f"Loss of the export minus that of the adapter: {nats(measured.loss_change)}.",
    ]
    if measured.kept_share is None:
        said.append("The adapter gains nothing here that is outside its interval.")
    else:
        said.append(f"Kept of the adapter's gain: {percent(measured.kept_share)}.")
    if measured.accuracy is not None:
        said.append(f"Accuracy changed by {points(measured.accuracy.change)}.")
    return [*said, f"Measured on {measured.source} In brackets: 95 % intervals over prompts."]


def nats(figure: Figure) -> str:
    """A distance or a loss with its interval."""
    value, low, high = map(_digits, (figure.value, figure.low, figure.high))
    return f"{value} ({low} to {high})"


def _digits(value: float) -> str:
    """Four digits behind the point, and what is smaller as a power of ten: never a false 0."""
    return f"{value:.1e}" if 0 < abs(value) < SMALLEST_SHOWN else f"{value:.4f}"


def percent(figure: Figure) -> str:
    """A share with its interval."""
    return f"{share(figure.value)} ({100 * figure.low:.1f} to {100 * figure.high:.1f} %)"


def points(figure: Figure) -> str:
    """A change of a share with its interval."""
    low, high = 100 * figure.low, 100 * figure.high
    return f"{100 * figure.value:+.1f} points ({low:+.1f} to {high:+.1f})"


def share(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.1f} %"
