"""What is learned from a micro-batch: reference, loss and the adapter's gradient.

Letters: B rows, T padded length, N completion positions of a micro-batch, D hidden width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn

from OnPolicyDistill.adapters.lora import adapter_disabled
from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.grpo import (
    GradedTokens,
    PolicyObjective,
    PolicyStats,
    policy_gradient_loss,
    sampled_logprobs,
)
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import hidden_states
from OnPolicyDistill.optim.gradients import Gradients
from OnPolicyDistill.rollout import PackedBatch, Rollout, pack
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.trainers.grpo.groups import WeightedRow


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Rows of one pass, packed; logprobs (N,) of the old policy and the reference where needed."""

    rows: Sequence[WeightedRow]
    packed: PackedBatch
    old_logprobs: mx.array | None = None
    reference_logprobs: mx.array | None = None

    @property
    def rollouts(self) -> list[Rollout]:
        """The rows' rollouts."""
        return [row.rollout for row in self.rows]

    @property
    def tokens(self) -> GradedTokens:
        """What the loss has to know."""
        return GradedTokens(
            labels=self.packed.labels,
            lengths=[len(row.rollout.completion_ids) for row in self.rows],
            advantages=[row.advantage for row in self.rows],
            weights=[row.weight for row in self.rows],
            old_logprobs=self.old_logprobs,
            reference_logprobs=self.reference_logprobs,
        )


@dataclass(frozen=True, slots=True)
class Learned:
    """What a pass gave: its share of the step's loss, and statistics (N,) of its tokens."""

    batch: MicroBatch
    loss: float
    stats: PolicyStats


def batch_of(rows: Sequence[WeightedRow]) -> MicroBatch:
    """Pack rows for a pass."""
    return MicroBatch(rows, pack([row.rollout for row in rows]))


def objective_of(settings: GrpoSettings) -> PolicyObjective:
    """What a step minimizes, as the losses read it."""
    return PolicyObjective(
        loss_type=settings.loss_type,
        level=settings.importance_sampling_level,
        epsilon=settings.epsilon,
        epsilon_high=settings.epsilon_high,
        delta=settings.delta,
        beta=settings.beta,
        temperature=settings.temperature,
    )


def learn(
    model: nn.Module, head: VocabularyHead, batch: MicroBatch, objective: PolicyObjective
) -> tuple[Learned, Gradients]:
    """Loss of a micro-batch as its share of the step's, and the adapter's gradient of it."""
    packed, tokens = batch.packed, batch.tokens

    def loss_of(model: nn.Module) -> tuple[mx.array, PolicyStats]:
        hidden = hidden_states(model, packed.tokens)  # (B, T, D)
        hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), packed.positions, axis=0)  # (N, D)
        return policy_gradient_loss(hidden, head, tokens, objective)

    model.train()
    (loss, stats), gradients = nn.value_and_grad(model, loss_of)(model)
    model.eval()
    mx.eval(loss, gradients, stats.logprob)
    return Learned(batch, as_float(loss), stats), gradients


@dataclass(frozen=True, slots=True)
class Reference:
    """Whom the KL is measured to: the base model, or the adapter as it was when the run began.

    `start` are the adapter's arrays of then; None for the base model.
    """

    start: dict[str, mx.array] | None

    def score(
        self, model: nn.Module, head: VocabularyHead, batch: MicroBatch, objective: PolicyObjective
    ) -> mx.array:
        """Logprobs (N,) of a micro-batch's tokens, evaluated; the student is as before then."""
        packed = batch.packed
        with self._worn_by(model):
            hidden = read_hidden_states(model, packed.tokens)  # (B, T, D)
            hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), packed.positions, axis=0)
            logprobs = sampled_logprobs(hidden, head, packed.labels, objective)
            mx.eval(logprobs)
        return logprobs

    @contextmanager
    def _worn_by(self, model: nn.Module) -> Iterator[None]:
        model.eval()
        if self.start is None:
            with adapter_disabled(model):
                yield
            return
        now = flat_arrays(model.trainable_parameters())
        model.load_weights(list(self.start.items()), strict=False)
        try:
            yield
        finally:
            model.load_weights(list(now.items()), strict=False)


def reference_of(model: nn.Module, settings: GrpoSettings) -> Reference | None:
    """The reference of a run whose adapter has not learned yet; None where `beta` is 0."""
    if settings.beta == 0:
        return None
    if settings.reference == "base":
        return Reference(None)
    start = {name: mx.array(array) for name, array in _trainable(model).items()}
    mx.eval(start)
    return Reference(start)


def _trainable(model: nn.Module) -> dict[str, mx.array]:
    return flat_arrays(model.trainable_parameters())
