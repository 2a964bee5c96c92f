"""What a distillation step minimizes, as numbers that every loss here reads."""

from __future__ import annotations

from dataclasses import dataclass

from OnPolicyDistill.divergences import FACTS, Divergence


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """kl_weight * T^2 * D(student, teacher at temperature T) + ce_weight * CE(teacher's top token).

    `divergence` names D (divergences.py); `teacher_weight` is ignored where D has none. Raises
    ValueError for numbers that have no meaning, among them a temperature other than 1 for a
    sampled divergence: its samples come from the student itself, not from a softened student.

    `chunk_size` positions are projected at once; None takes `chunks.rows_per_chunk`. It
    changes memory and time, not the result.
    """

    divergence: Divergence
    temperature: float
    kl_weight: float
    ce_weight: float
    teacher_weight: float
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"the temperature must be above 0, not {self.temperature}")
        if self.kl_weight < 0 or self.ce_weight < 0:
            raise ValueError("the weights of a loss must not be negative")
        facts = FACTS[self.divergence]
        if facts.has_teacher_weight and not 0 < self.teacher_weight < 1:
            raise ValueError(f"teacher_weight must lie inside (0, 1), not {self.teacher_weight}")
        if facts.is_sampled and self.temperature != 1:
            raise ValueError(
                f"{self.divergence} is defined at temperature 1 only: the sampled tokens come from "
                f"the student itself, not from the student at temperature {self.temperature}"
            )
