"""Settings of distillation that a scorer cannot serve are refused before anything is learned.

A scorer whose policy is in this process serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator

from OnPolicyDistill.divergences import DIVERGENCES, FACTS
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.problems import Contradiction
from OnPolicyDistill.teacher.scorer import Offer, Scorer


def require_served(scorer: Scorer, settings: DistillationSettings, block: str) -> None:
    """Let settings pass that the scorer can serve.

    Raises:
        ConfigError: names every other one by its place below `block`, and what it must be.
    """
    unserved = [*_unserved(scorer, settings)]
    if unserved:
        reasons = "; ".join(reason for _, reason in unserved)
        raise ConfigError(
            f"{settings.teacher_model} cannot score as these settings ask: {reasons}.",
            f"Change {', '.join(f'{block}.{key}' for key, _ in unserved)}, or take a teacher that "
            "runs on this machine.",
            tuple((f"{block}.{key}", reason) for key, reason in unserved),
        )


def _unserved(scorer: Scorer, settings: DistillationSettings) -> Iterator[Contradiction]:
    offer = scorer.offer
    if settings.on_policy_fraction < 1 and not offer.completes:
        why = "it writes no completions of its own"
        yield "on_policy_fraction", f"{why}, so on_policy_fraction must be 1"
    if not settings.keep_teacher_loaded and not scorer.is_loaded:
        yield (
            "keep_teacher_loaded",
            "it takes no memory here that could be given back, so keep_teacher_loaded must be true",
        )
    if not offer.is_exact:
        yield from _beyond_logprobs(offer, settings)


def _beyond_logprobs(offer: Offer, settings: DistillationSettings) -> Iterator[Contradiction]:
    """What top-k logprobs at temperature 1 cannot give."""
    if settings.teacher_targets != "top_k":
        why = "it hands over no hidden states"
        yield "teacher_targets", f"{why}, so teacher_targets must be top_k"
    elif offer.max_top_k is not None and settings.top_k > offer.max_top_k:
        why = f"it hands over {offer.max_top_k} logprobs a token at most"
        yield "top_k", f"{why}, so top_k must be {offer.max_top_k} or less"
    if settings.temperature != 1:
        yield "temperature", "its logprobs are at temperature 1, so temperature must be 1"
    # Without what the student wrongly likes these gradients are off by up to 0.8 (decision 0010).
    weighs_students = FACTS[settings.divergence].weighs_students_tokens
    needs_given = settings.kl_weight > 0 and weighs_students
    if needs_given and not offer.scores_given:
        servable = " or ".join(d for d in DIVERGENCES if not FACTS[d].weighs_students_tokens)
        yield (
            "divergence",
            f"it scores no tokens that it is given, without which {settings.divergence} has a "
            f"wrong gradient, so divergence must be {servable}",
        )
