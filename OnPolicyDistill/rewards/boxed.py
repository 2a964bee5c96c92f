r"""Whether the last `\boxed{}` of a completion holds the right answer."""

from __future__ import annotations

from OnPolicyDistill.grading.boxed import grade_boxed
from OnPolicyDistill.rewards.completion import Completion


def boxed(completion: Completion, tolerance: float) -> float | None:
    """1 where what stands in the last box behind the thinking is the answer, else 0.

    Numbers count by value, within an absolute tolerance. None for a prompt without an answer.
    """
    if completion.answer is None:
        return None
    return grade_boxed(completion.text, completion.answer, tolerance).mark
