"""The README.md that goes out with an adapter or a model: what it is and what was measured.

Two things are measured and kept apart: what training measured of the adapter, before and after,
and what these files were found to be once they were written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from OnPolicyDistill.adapters.measured import NextStep, Outcome, sentences, table_rows

Library = Literal["mlx", "peft"]
TAGS: dict[Library, str] = {"mlx": "mlx, distillation", "peft": "peft, lora, distillation"}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of a card's table, as text with its unit; `before` is the untrained student."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What is known about a training; what is empty is left out of the card.

    `sees` says that the model reads pictures; `notes` are sentences about these files, `usage` what
    to type. `outcome` is what was measured of them; None says nothing about that.
    """

    name: str
    base_model: str
    method: str
    teacher: str = ""
    run_id: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    caveats: str = ""
    usage: tuple[NextStep, ...] = ()
    notes: tuple[str, ...] = ()
    library: Library = "mlx"
    sees: bool = False
    outcome: Outcome | None = None


def write_card(facts: CardFacts) -> str:
    """Return the card as Markdown with the hub's front matter."""
    taught = f" from {facts.teacher}" if facts.teacher else ""
    parts = [
        _front_matter(facts),
        f"# {facts.name}",
        f"Trained with OnPolicyDistill ({facts.method}){taught}, on {facts.base_model}. "
        "The base model's licence applies.",
    ]
    if facts.outcome is not None:
        parts.append("## Measured of these files\n\n" + _outcome(facts.outcome))
    if facts.measurements:
        rows = [(m.name, m.before, m.after) for m in facts.measurements]
        table = _table(("", "before", "after"), rows)
        parts.append(f"## Measured of the adapter by its training\n\n{table}")
        parts += [facts.caveats] if facts.caveats else []
    if facts.settings:
        lines = [f"- {key}: {value}" for key, value in facts.settings.items()]
        parts.append("## Settings\n\n" + "\n".join(lines))
    if facts.usage or facts.notes:
        parts.append("\n\n".join(("## Use", *facts.notes, *_typed(facts.usage))))
    if facts.run_id:
        parts.append(f"Run: `{facts.run_id}`")
    return "\n\n".join(parts) + "\n"


def _front_matter(facts: CardFacts) -> str:
    return "\n".join(
        (
            "---",
            f"base_model: {facts.base_model}",
            f"library_name: {facts.library}",
            f"pipeline_tag: {'image-text-to-text' if facts.sees else 'text-generation'}",
            f"tags: [{TAGS[facts.library]}]",
            "---",
        )
    )


def _outcome(outcome: Outcome) -> str:
    if outcome.measured is None:
        return f"Not measured: {outcome.not_measured}"
    head = ("", "base model", "with the adapter", "these files")
    parts = [f"**{outcome.warning}**"] if outcome.warning else []
    parts += [_table(head, table_rows(outcome.measured)), " ".join(sentences(outcome.measured))]
    return "\n\n".join(parts)


def _typed(steps: Sequence[NextStep]) -> list[str]:
    """A block of commands for each program."""
    return [
        f"{step.program}:\n\n```{step.language}\n" + "\n".join(step.commands) + "\n```"
        for step in steps
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(line.replace("|  |", "| |") for line in lines)
