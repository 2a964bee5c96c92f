"""A scorer that is not exact: what a server gives that scores tokens of a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx

from OnPolicyDistill.errors import RunError
from OnPolicyDistill.losses.targets import HiddenTargets, TopKTargets, top_k_targets
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.rollout import Rollout, pack
from OnPolicyDistill.teacher.scorer import EXACT, Offer, TargetForm
from OnPolicyDistill.teacher.scoring import Teacher

EIGHT_AT_MOST = Offer(is_exact=False, scores_given=False, completes=False, max_top_k=8)


@dataclass
class FewLogprobs:
    """Hands over the k best logprobs of a teacher at temperature 1 and their tail, and no more.

    It refuses to be asked for anything else, as a server would.
    """

    behind: Teacher
    form: TargetForm
    offer: Offer = EIGHT_AT_MOST
    is_loaded: bool = False

    @property
    def policy(self) -> Policy:
        raise RunError("This teacher is elsewhere.")

    def expect(self, rollout: Rollout) -> None:
        pass

    def compresses_anew(self, form: TargetForm | None = None) -> bool:
        return False

    def score(
        self,
        fresh: Sequence[Rollout],
        kept: Sequence[Rollout] = (),
        form: TargetForm | None = None,
        kept_ids: mx.array | None = None,
    ) -> TopKTargets:
        form = form or self.form
        assert form.kind == "top_k"
        assert form.temperature == 1
        assert form.top_k <= 8
        assert kept_ids is None
        exact = self.behind.score(fresh, kept, EXACT)
        assert isinstance(exact, HiddenTargets)
        return top_k_targets(exact, pack([*fresh, *kept]).labels, form.top_k, 1.0)

    def cache_metrics(self) -> dict[str, float]:
        return {}
