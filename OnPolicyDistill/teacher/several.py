"""Several teachers as one scorer: each row is scored by the teacher that its prompt names.

Rows that are scored together have one teacher, since hidden states of two have no common head:
whoever makes batches sees to that (training/teacher_order.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mlx.core as mx

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.losses.targets import Targets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.teacher.scorer import Offer, Scorer, TargetForm


class SeveralTeachers:
    """A `Scorer` of named ones, which have one form and share their caches."""

    def __init__(self, teachers: Mapping[str, Scorer], form: TargetForm) -> None:
        self.teachers = teachers
        self.form = form

    @property
    def offer(self) -> Offer:
        """What all of them offer."""
        offers = [teacher.offer for teacher in self.teachers.values()]
        limits = [offer.max_top_k for offer in offers if offer.max_top_k is not None]
        return Offer(
            is_exact=all(offer.is_exact for offer in offers),
            scores_given=all(offer.scores_given for offer in offers),
            completes=False,
            max_top_k=min(limits, default=None),
        )

    @property
    def is_loaded(self) -> bool:
        """Whether the weights of one of them are in memory."""
        return any(teacher.is_loaded for teacher in self.teachers.values())

    @property
    def policy(self) -> Policy:
        """Not offered: each of them writes its own completions, before step 1.

        Raises:
            RunError: always.
        """
        raise RunError(
            "Several teachers have no one policy.", "Report what was asked of them, with the run."
        )

    def expect(self, rollout: Rollout) -> None:
        """Let the row's own teacher begin."""
        self.teachers[rollout.teacher].expect(rollout)

    def compresses_anew(self, form: TargetForm | None = None) -> bool:
        """Whether any of them needs the ids that the student likes now."""
        return any(teacher.compresses_anew(form) for teacher in self.teachers.values())

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> Targets:
        """Score rows of one teacher by that one; raises ValueError where they have several."""
        names = {row.teacher for row in (*fresh, *kept)}
        if len(names) != 1:
            raise ValueError(f"rows of {len(names)} teachers cannot be scored together")
        return self.teachers[names.pop()].score(fresh, kept, form, kept_ids)

    def cache_metrics(self) -> dict[str, float]:
        """What the caches did, which the teachers share: levels are the largest, shares means."""
        told: dict[str, list[float]] = {}
        for teacher in self.teachers.values():
            for key, value in teacher.cache_metrics().items():
                told.setdefault(key, []).append(value)
        return {key: _joined(key, values) for key, values in told.items()}


def _joined(key: str, values: Sequence[float]) -> float:
    is_share = key.endswith(("rate", "error"))
    return sum(values) / len(values) if is_share else max(values)
