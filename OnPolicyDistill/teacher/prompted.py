"""A teacher that sees another prompt than the student: the same completion ids behind its own.

Completions line up token by token; prompts differ in length. A completion of length G behind a
prompt of length P is predicted at positions P - 1 .. P + G - 2 of its own row, so student and
teacher hand over N positions each, in the same order, whatever their prompts are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import mlx.core as mx

from OnPolicyDistill.adapters.lora import adapter_disabled
from OnPolicyDistill.errors import RunError
from OnPolicyDistill.losses.targets import Targets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.teacher.scorer import Offer, TargetForm
from OnPolicyDistill.teacher.scoring import Teacher

TokenIds = tuple[int, ...]


class PromptedTeacher:
    """A `Scorer` behind the prompts of `views`: the student's prompt ids to the teacher's.

    The teacher's policy may be the student's own model: adapters are off while it scores, and their
    weights are not touched. It answers while it is loaded, and scores only: what it would say to
    its prompts is another stage's work.
    """

    def __init__(self, teacher: Teacher, views: Mapping[TokenIds, TokenIds]) -> None:
        self._teacher = teacher
        self._views = views
        with adapter_disabled(teacher.policy.model):
            teacher.share_prefix(list(views.values()))

    @property
    def offer(self) -> Offer:
        """What its teacher offers, except completions."""
        return replace(self._teacher.offer, completes=False)

    @property
    def form(self) -> TargetForm:
        """The form that the run learns from."""
        return self._teacher.form

    @property
    def is_loaded(self) -> bool:
        """Whether the teacher's weights are in memory."""
        return self._teacher.is_loaded

    @property
    def policy(self) -> Policy:
        """Not offered: without its prompt the policy would write as another one.

        Raises:
            RunError: always.
        """
        raise RunError(
            "A teacher that sees another prompt than the student writes no completions here.",
            "Set on_policy_fraction to 1, so that every completion is the student's.",
        )

    def expect(self, rollout: Rollout) -> None:
        """Nothing, as its teacher does."""

    def compresses_anew(self, form: TargetForm | None = None) -> bool:
        """Whether kept rows need the ids that the student likes now."""
        return self._teacher.compresses_anew(form)

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> Targets:
        """Score rollouts of the student as `Teacher.score` does, behind the teacher's prompts."""
        fresh, kept = self._seen_by_teacher(fresh), self._seen_by_teacher(kept)
        with adapter_disabled(self._teacher.policy.model):
            return self._teacher.score(fresh, kept, form, kept_ids)

    def cache_metrics(self) -> dict[str, float]:
        """What the teacher's cache did since the last call."""
        return self._teacher.cache_metrics()

    def _seen_by_teacher(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        return [replace(r, prompt_ids=self._views[r.prompt_ids]) for r in rollouts]
