"""Free answers: graded by what they are or hold, not by one of a few labels.

`exact`: what stands behind the answer prefix, or all that was said, is the gold answer; case,
spaces and the signs around it do not count. `contains`: the gold answer occurs in what was said, as
whole words. `boxed`: the last box holds it (grading/boxed.py). Thinking never counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, assert_never

from OnPolicyDistill.datasets.label_forms import behind_prefix, first_line
from OnPolicyDistill.datasets.labelled import (
    THINKING_CLOSES,
    THINKING_OPENS,
    WRAPPING,
    LabelledItem,
    labels_of,
)
from OnPolicyDistill.grading.boxed import grade_boxed
from OnPolicyDistill.settings.evaluation import Grading

FreeGrading = Literal["exact", "contains", "boxed"]
KnownGrading = Literal["labels", "exact", "contains", "boxed"]

# So many may be labels of which most items have one of their own, as in a very small file.
FEW_LABELS = 12
# Of a wrong answer so much is kept as what was given; the reply itself is kept whole.
GIVEN_CHARACTERS = 200


def grading_of(
    wanted: Grading, labels: Sequence[str] | None, items: Sequence[LabelledItem]
) -> KnownGrading:
    """How answers are graded: as the settings say, else as the items look.

    Labels come again and again: where most items have an answer of their own, and there are more
    answers than anybody would call labels, they are free.
    """
    if wanted != "auto":
        return wanted
    graded = [item for item in items if item.gold is not None]
    if graded and all(item.grader is not None for item in graded):
        return "boxed"
    return (
        "labels"
        if labels or len(labels_of(graded)) <= max(len(graded) / 2, FEW_LABELS)
        else "exact"
    )


def given_answer(
    grading: FreeGrading, thought: str, reply: str, gold: str, prefix: str
) -> str | None:
    """The gold answer where the reply is right, else what it said instead; None for nothing.

    Without a gold answer nothing is right.
    """
    if grading == "boxed":
        grade = grade_boxed(reply, gold, thought_opened=bool(thought))
        return gold if grade.mark else grade.given
    said = _spoken(thought + reply)
    behind = behind_prefix(said, prefix)
    answer = (said if behind is None else first_line(behind)).strip()
    if not gold:
        return answer[-GIVEN_CHARACTERS:] or None
    match grading:
        case "exact":
            is_right = _plain(answer) == _plain(gold)
        case "contains":
            is_right = _holds(said, gold)
        case unknown:
            assert_never(unknown)
    return gold if is_right else answer[-GIVEN_CHARACTERS:] or None


def _spoken(reply: str) -> str:
    """What follows the thinking; nothing while it is still open."""
    before, closed, said = reply.rpartition(THINKING_CLOSES)
    is_open = THINKING_OPENS in said or (not closed and THINKING_OPENS in before)
    return "" if is_open else said


def _plain(text: str) -> str:
    """Case, spaces and the signs around an answer do not count; of signs alone they do."""
    folded = " ".join(text.casefold().split())
    return folded.strip(WRAPPING) or folded


def _holds(said: str, gold: str) -> bool:
    """Whether an answer occurs between letters and digits of others."""
    wanted = _plain(gold)
    heard = " ".join(said.casefold().split())
    return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", heard) is not None
