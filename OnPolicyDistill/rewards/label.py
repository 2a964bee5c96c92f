"""Whether a completion names the right label, read as in a labelled evaluation."""

from __future__ import annotations

from collections.abc import Sequence

from OnPolicyDistill.datasets.labelled import parse_label
from OnPolicyDistill.rewards.completion import Completion


def label(completion: Completion, labels: Sequence[str], answer_prefix: str) -> float | None:
    """1 where the label behind the thinking and `answer_prefix` is the answer, else 0.

    A completion that names no label, or more than one, has 0. None for a prompt without an answer
    or with one that is no label.
    """
    if completion.answer is None:
        return None
    wanted = parse_label(completion.answer, labels, "")
    if wanted is None:
        return None
    return float(parse_label(completion.text, labels, answer_prefix) == wanted)
