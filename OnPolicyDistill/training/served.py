"""Settings of distillation that a scorer cannot serve are refused before anything is learned.

A scorer whose policy is in this process serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator

from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.endpoint import beyond_logprobs
from OnPolicyDistill.settings.problems import Contradiction
from OnPolicyDistill.teacher.scorer import Scorer


def require_served(scorer: Scorer, settings: DistillationSettings, block: str) -> None:
    """Let settings pass that the scorer can serve.

    Raises:
        ConfigError: names every other one by its place below `block`, and what it must be.
    """
    unserved = [*_unserved(scorer, settings)]
    if unserved:
        reasons = "; ".join(reason for _, reason in unserved)
        raise ConfigError(
            f"{settings.teacher_name} cannot score as these settings ask: {reasons}.",
            f"Change {', '.join(f'{block}.{key}' for key, _ in unserved)}, or take a teacher that "
            "runs on this machine.",
            tuple((f"{block}.{key}", reason) for key, reason in unserved),
        )


def _unserved(scorer: Scorer, settings: DistillationSettings) -> Iterator[Contradiction]:
    offer = scorer.offer
    if settings.on_policy_fraction < 1 and not offer.completes:
        why = "it writes no completions of its own"
        yield "on_policy_fraction", f"{why}, so on_policy_fraction must be 1"
    # One that writes has its model on this machine, loaded or not yet.
    if not settings.keep_teacher_loaded and not (scorer.is_loaded or offer.completes):
        yield (
            "keep_teacher_loaded",
            "it takes no memory here that could be given back, so keep_teacher_loaded must be true",
        )
    if not offer.is_exact:
        yield from beyond_logprobs(settings, offer.max_top_k, offer.scores_given)
