"""Whether a model stops where its chat template ends a turn.

A base model often has the template of its chat form and the end token of plain text. What is
learned then ends with a token at which nothing stops, and completions run to their limit.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnstoppedTurn:
    """What a template writes behind an answer, and the stop tokens it has none of."""

    written: str
    stops: tuple[str, ...]

    def message(self, model: str) -> str:
        """Say what is wrong with the model that is called so."""
        stops = " and ".join(self.stops)
        ends = f"its stop tokens are {stops}" if stops else "it has no stop token"
        turn = f"ends a turn with {self.written}" if self.written else "writes nothing at its end"
        return (
            f"The chat template of {model} {turn}, and {ends}: what is learned has no end at "
            "which anything stops, and completions run to their limit."
        )

    @property
    def action(self) -> str:
        """Say what to do."""
        named = self.written or "the template's last token"
        return (
            f"Name {named} as eos_token in the folder's tokenizer_config.json and its id as "
            "eos_token_id in generation_config.json, or use the model's instruct form."
        )


def find_unstopped_turn(closing: str, end_texts: Iterable[str]) -> UnstoppedTurn | None:
    """Look for a stop token in what a template writes behind an answer (`ChatTemplate.closing`)."""
    stops: Collection[str] = tuple(text for text in end_texts if text)
    if any(text in closing for text in stops):
        return None
    return UnstoppedTurn(closing.strip(), tuple(stops))
