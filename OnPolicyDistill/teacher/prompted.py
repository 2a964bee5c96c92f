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
from OnPolicyDistill.losses.targets import Targets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scoring import TargetForm, Teacher

TokenIds = tuple[int, ...]


class PromptedTeacher(Teacher):
    """Scores behind the prompts of `views`: the student's prompt ids to the teacher's.

    The policy may be the student's own model: adapters are off while it scores, and their weights
    are not touched.
    """

    def __init__(
        self,
        policy: Policy,
        cache: TeacherCache,
        form: TargetForm,
        views: Mapping[TokenIds, TokenIds],
    ) -> None:
        super().__init__(policy, cache, form)
        self._views = views
        with adapter_disabled(policy.model):
            self.share_prefix(list(views.values()))

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> Targets:
        """Score rollouts of the student as `Teacher.score` does, behind the teacher's prompts."""
        fresh, kept = self._seen_by_teacher(fresh), self._seen_by_teacher(kept)
        with adapter_disabled(self.policy.model):
            return super().score(fresh, kept, form, kept_ids)

    def _seen_by_teacher(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        return [replace(r, prompt_ids=self._views[r.prompt_ids]) for r in rollouts]
