"""Every divergence described once: its name, what it is in words, and what it asks of a run.

A new one begins here. Its mathematics is in losses/divergence.py, where mypy finds a match that
does not know it; settings, form and screen read this (docs/architecture.md, "Add a divergence").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict, get_args

Divergence = Literal["reverse_kl", "forward_kl", "jsd", "sampled_reverse_kl"]
DIVERGENCES: tuple[Divergence, ...] = get_args(Divergence)


@dataclass(frozen=True, slots=True)
class DivergenceFacts:
    """What there is to know of a divergence without its mathematics.

    `about` follows its name in a sentence. `weighs_students_tokens` says that what the student
    likes decides its gradient, so top-k targets have to hold those tokens. `is_sampled` says that
    only the sampled tokens count, which must then be the student's own, fresh and at temperature 1.
    `has_teacher_weight` says that `teacher_weight` means something.
    """

    about: str
    weighs_students_tokens: bool = False
    is_sampled: bool = False
    has_teacher_weight: bool = False


class EveryDivergence(TypedDict):
    """Facts of each: a dict of this type that forgets one fails mypy."""

    reverse_kl: DivergenceFacts
    forward_kl: DivergenceFacts
    jsd: DivergenceFacts
    sampled_reverse_kl: DivergenceFacts


FACTS: EveryDivergence = {
    "reverse_kl": DivergenceFacts("is KL(student || teacher)", weighs_students_tokens=True),
    "forward_kl": DivergenceFacts("is KL(teacher || student)"),
    "jsd": DivergenceFacts("lies between", weighs_students_tokens=True, has_teacher_weight=True),
    "sampled_reverse_kl": DivergenceFacts(
        "is the one-sample policy gradient of reverse_kl", is_sampled=True
    ),
}
IN_WORDS = ", ".join(f"{name} {FACTS[name].about}" for name in DIVERGENCES) + "."
