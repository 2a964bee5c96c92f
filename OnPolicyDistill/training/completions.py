"""Rollouts as rewards see them: words, and nothing of models or tokens' ids."""

from __future__ import annotations

from OnPolicyDistill.datasets.labelled import THINKING_OPENS
from OnPolicyDistill.models.policy import Policy, decode
from OnPolicyDistill.rewards.completion import Completion
from OnPolicyDistill.rollout import EncodedPrompt, Rollout


def completion_of(
    policy: Policy, prompt: EncodedPrompt, rollout: Rollout, max_tokens: int
) -> Completion:
    """A rollout as rewards see it; where the template opens the thinking, that is put in front."""
    opens = policy.chat_template.opening().rstrip().endswith(THINKING_OPENS)
    return Completion(
        prompt=prompt.text,
        text=(THINKING_OPENS if opens else "") + decode(policy, rollout.completion_ids),
        answer=prompt.answer,
        num_tokens=len(rollout.completion_ids),
        max_tokens=max_tokens,
        is_finished=rollout.finish_reason == "stop",
        extras=prompt.extras,
    )
