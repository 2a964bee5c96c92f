"""The warning of a student whose turns end where it does not stop."""

from __future__ import annotations

from OnPolicyDistill.datasets.turn_ends import find_unstopped_turn
from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.models.policy import Policy, end_texts
from OnPolicyDistill.runs.reporting import Reporter


def warn_of_unstopped_turns(policy: Policy, reporter: Reporter) -> None:
    """Say so once where the template's end of turn is none of the policy's stop tokens.

    A template that writes no answers is refused by whoever learns from them, not here.
    """
    try:
        closing = policy.chat_template.closing()
    except (ModelError, DatasetError):
        return
    unstopped = find_unstopped_turn(closing, end_texts(policy))
    if unstopped is not None:
        reporter.warn("turn_without_stop", unstopped.message(policy.name), unstopped.action)
