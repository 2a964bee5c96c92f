"""A punishment for long completions that sets in softly."""

from __future__ import annotations

from OnPolicyDistill.rewards.completion import Completion


def length(completion: Completion, free_tokens: int) -> float:
    """0 up to `free_tokens`, from there falling evenly to -1 at the longest that is allowed.

    -1 for a completion that was cut. Source: the soft overlong punishment of DAPO (Yu et al.,
    arXiv 2503.14476, equation 13), whose cache is what lies between the two lengths.
    """
    if not completion.is_finished:
        return -1.0
    over = completion.num_tokens - free_tokens
    room = completion.max_tokens - free_tokens
    return 0.0 if over <= 0 else max(-over / room, -1.0)
