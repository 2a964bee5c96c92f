"""Teachers that are in memory only when they are asked, one at a time.

A run of several teachers, or of one whose answers are on disk, names them all and loads none before
it has to. `Turns` lets one leave before the next comes, so that two are never in memory together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mlx.core as mx

from OnPolicyDistill.losses.targets import Targets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scorer import Offer, TargetForm
from OnPolicyDistill.teacher.scoring import Teacher


class Turns:
    """Which of several teachers is in memory: one, or none yet. `num_loaded` counts."""

    def __init__(self) -> None:
        self.num_loaded = 0
        self._here: OnDemandTeacher | None = None

    def take(self, teacher: OnDemandTeacher) -> None:
        """Let whoever is in memory leave, since another one comes."""
        if self._here is not None and self._here is not teacher:
            self._here.leave()
        self._here = teacher
        self.num_loaded += 1


class OnDemandTeacher:
    """A `Scorer` whose policy is loaded when it is asked, and leaves when another one comes.

    `load` gives the policy, its words cut to the shared vocabulary.
    """

    def __init__(
        self, load: Callable[[], Policy], form: TargetForm, cache: TeacherCache, turns: Turns
    ) -> None:
        self.form = form
        self.cache = cache
        self._load = load
        self._turns = turns
        self._teacher: Teacher | None = None
        self._seen = (0, 0)

    @property
    def offer(self) -> Offer:
        """Everything: it comes when it is needed."""
        return Offer(is_exact=True, scores_given=True, completes=True)

    @property
    def is_loaded(self) -> bool:
        """Whether its weights are in memory now."""
        return self._teacher is not None

    @property
    def policy(self) -> Policy:
        """The policy, loaded if it is not in memory."""
        return self._here().policy

    def leave(self) -> None:
        """Give its memory back until it is asked again."""
        if self._teacher is not None:
            self._teacher.unload()
            self._teacher = None

    def expect(self, rollout: Rollout) -> None:
        """Nothing: it reads in this process."""

    def compresses_anew(self, form: TargetForm | None = None) -> bool:
        """Whether kept rows need the ids that the student likes now."""
        return (form or self.form).kind == "top_k"

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> Targets:
        """Score rollouts as `Teacher.score` does."""
        return self._here().score(fresh, kept, form, kept_ids)

    def cache_metrics(self) -> dict[str, float]:
        """Hit rate since the last call, bytes held and evictions since the start."""
        metrics = self.cache.metrics_since(self._seen)
        self._seen = (self.cache.hits, self.cache.misses)
        return metrics

    def _here(self) -> Teacher:
        if self._teacher is None:
            self._turns.take(self)
            self._teacher = Teacher(self._load(), self.cache, self.form)
        return self._teacher
