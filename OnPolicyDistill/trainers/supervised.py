"""Where scripts written against earlier versions find the loss on held-out conversations.

The code is in training/supervised.py; nothing in this repository imports from here.
"""

from __future__ import annotations

from collections.abc import Sequence

from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.training.conversation_rows import ConversationRow
from OnPolicyDistill.training.supervised import measure_loss


def held_out_loss(
    student: Policy, rows: Sequence[ConversationRow], settings: OptimizerSettings
) -> float:
    """Mean -log p of the learned tokens of all rows together, in nats a token."""
    (loss,) = measure_loss(student, rows, settings).metrics.values()
    return loss
