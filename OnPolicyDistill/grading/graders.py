"""Graders by the name that a prompt's `grader` gives them."""

from __future__ import annotations

from typing import Literal, assert_never, get_args

from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.grading.boxed import grade_boxed

Grader = Literal["exact_match", "boxed"]
GRADERS: tuple[Grader, ...] = get_args(Grader)


def grade(
    grader: str,
    completion: str,
    answer: str,
    tolerance: float = 0.0,
    *,
    thought_opened: bool = False,
) -> float:
    """1.0 where a completion is right, else 0.0.

    `tolerance` is for numbers in a box, and `thought_opened` says that the prompt ended inside a
    thought; an exact match looks at the completion as it stands.

    Raises:
        DatasetError: there is no grader of that name.
    """
    match find_grader(grader):
        case "exact_match":
            return float(completion.strip() == answer.strip())
        case "boxed":
            return grade_boxed(completion, answer, tolerance, thought_opened=thought_opened).mark
        case unknown:
            assert_never(unknown)


def find_grader(name: str) -> Grader:
    """The grader of a name.

    Raises:
        DatasetError: there is none.
    """
    found = next((grader for grader in GRADERS if grader == name), None)
    if found is None:
        raise DatasetError(f"There is no grader {name[:40]!r}.", f"Use {' or '.join(GRADERS)}.")
    return found
