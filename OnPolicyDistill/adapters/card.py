"""The README.md that goes out with an adapter or a model: what it is and what was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Library = Literal["mlx", "peft"]
TAGS: dict[Library, str] = {"mlx": "mlx, distillation", "peft": "peft, lora, distillation"}
LANGUAGES: dict[Library, str] = {"mlx": "sh", "peft": "python"}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One line of a card's table, as text with its unit; `before` is the untrained student."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What is known about a training; what is empty is left out of the card.

    `usage` are lines for the shell, or of Python where the library is PEFT. `sees` says that the
    model reads pictures.
    """

    name: str
    base_model: str
    method: str
    teacher: str = ""
    run_id: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    caveats: str = ""
    usage: str = ""
    library: Library = "mlx"
    sees: bool = False


def write_card(facts: CardFacts) -> str:
    """Return the card as Markdown with the hub's front matter."""
    taught = f" from {facts.teacher}" if facts.teacher else ""
    parts = [
        "\n".join(
            (
                "---",
                f"base_model: {facts.base_model}",
                f"library_name: {facts.library}",
                f"pipeline_tag: {'image-text-to-text' if facts.sees else 'text-generation'}",
                f"tags: [{TAGS[facts.library]}]",
                "---",
            )
        ),
        f"# {facts.name}",
        f"Trained with OnPolicyDistill ({facts.method}){taught}, on {facts.base_model}. "
        "The base model's licence applies.",
    ]
    if facts.measurements:
        parts.append("## Measured on held-out prompts\n\n" + _table(facts.measurements))
        parts += [facts.caveats] if facts.caveats else []
    if facts.settings:
        lines = [f"- {key}: {value}" for key, value in facts.settings.items()]
        parts.append("## Settings\n\n" + "\n".join(lines))
    if facts.usage:
        parts.append(f"## Use\n\n```{LANGUAGES[facts.library]}\n{facts.usage}\n```")
    if facts.run_id:
        parts.append(f"Run: `{facts.run_id}`")
    return "\n\n".join(parts) + "\n"


def _table(measurements: tuple[Measurement, ...]) -> str:
    rows = [f"| {m.name} | {m.before} | {m.after} |" for m in measurements]
    return "\n".join(("| | before | after |", "|---|---|---|", *rows))
