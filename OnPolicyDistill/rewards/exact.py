"""Whether a completion is the right answer, letter by letter."""

from __future__ import annotations

from OnPolicyDistill.rewards.completion import Completion


def exact(completion: Completion) -> float | None:
    """1 for a finished completion that equals the answer but for space around it, else 0.

    None for a prompt without an answer.
    """
    if completion.answer is None:
        return None
    return float(completion.is_finished and completion.text.strip() == completion.answer.strip())
