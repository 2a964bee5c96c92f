"""What a reward sees: one completion with its prompt, and nothing of models or tokens' ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pydantic import JsonValue


@dataclass(frozen=True, slots=True)
class Completion:
    """One completion of a prompt.

    `prompt` is the text of the prompt's last message, `text` what came after it, without special
    tokens; where the chat template opens the thinking itself, its `<think>` stands in front.
    `answer` is the right answer, where the prompt's line has one; `extras` is whatever else the
    line says. `is_finished` is False where the completion was cut at `max_tokens`.
    """

    prompt: str
    text: str
    answer: str | None
    num_tokens: int
    max_tokens: int
    is_finished: bool
    extras: Mapping[str, JsonValue] = field(default_factory=dict)


# A grade, larger for better; None where this completion cannot be graded.
Reward = Callable[[Completion], float | None]
