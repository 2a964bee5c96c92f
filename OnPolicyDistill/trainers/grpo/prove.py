"""The proof of learning without a teacher: what rewards do, and what they must not do.

A probe of one group is sampled, and its rollouts get rewards by rule instead of their own, so that
luck cannot spare a claim. What the probe step changes is put back.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.evaluation.proof import require, step_checks, with_advice
from OnPolicyDistill.evaluation.rescoring import rescore, rescoring_checks
from OnPolicyDistill.losses.advantages import advantages_of
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.optim.adamw import create_adamw
from OnPolicyDistill.optim.gradients import Gradients, gradient_norm
from OnPolicyDistill.rollout import Rollout
from OnPolicyDistill.runs.events import Check, SelfTestFinished
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.trainers.grpo.groups import Asked, WeightedRow, sample
from OnPolicyDistill.trainers.grpo.learn import MicroBatch, batch_of, learn, objective_of
from OnPolicyDistill.training.student import Student
from OnPolicyDistill.training.work import Work

# Never 0, 0.5 or 1: those cancel in float32 as well.
EQUAL_REWARD = 0.7
SUM_LIMIT = 1e-9


def prove(work: Work, student: Student, asked: Sequence[Asked], settings: GrpoSettings) -> None:
    """Show that rewards move the adapter and nothing else, or stop the run before it pretends to.

    Raises:
        ProofError: a claim does not hold.
    """
    work.reporter.phase("self_test", "Proving that rewards, gradients and adapter are real.")
    (rollouts,) = sample(student.policy, asked[:1], settings, work.hooks)
    checks = (
        *_reward_checks(student, rollouts, settings),
        *_sampling_checks(student, rollouts, settings),
        *step_checks(
            student.policy.model,
            lambda _: _gradients(student, rollouts, _alternating(len(rollouts)), settings),
            lambda: create_adamw(settings, student.policy.model),
        ),
    )
    checks = tuple(map(with_advice, checks))
    passed = all(check.passed for check in checks)
    work.reporter.emit(SelfTestFinished(passed=passed, checks=checks))
    require(checks)


def _alternating(count: int) -> list[float]:
    return [EQUAL_REWARD * (place % 2) for place in range(count)]


def _reward_checks(
    student: Student, rollouts: Sequence[Rollout], settings: GrpoSettings
) -> tuple[Check, Check]:
    equal = [EQUAL_REWARD] * len(rollouts)
    told_apart = advantages_of(_alternating(len(rollouts)), len(rollouts), settings.scale_rewards)
    return (
        Check.at_most(
            "equal_rewards",
            "Completions of equal reward teach nothing (the gradient's norm).",
            as_float(gradient_norm(_gradients(student, rollouts, equal, settings))),
            0,
        ),
        Check.at_most(
            "advantages_balance",
            "Advantages of a group sum to nothing (absolute sum).",
            abs(sum(told_apart.values)),
            SUM_LIMIT,
        ),
    )


def _sampling_checks(
    student: Student, rollouts: Sequence[Rollout], settings: GrpoSettings
) -> tuple[Check, ...]:
    """Whether the student samples what it scores, where it samples itself."""
    if settings.temperature != 1:
        return ()
    packed = _batch(rollouts, [0.0] * len(rollouts)).packed
    hidden = read_hidden_states(student.policy.model, packed.tokens)
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), packed.positions, axis=0)  # (N, D)
    rescored = rescore(hidden, student.head, packed.labels)
    return rescoring_checks(rollouts, rescored, student.policy.stop_ids)


def _gradients(
    student: Student, rollouts: Sequence[Rollout], rewards: list[float], settings: GrpoSettings
) -> Gradients:
    """The adapter's gradient of the surrogate alone: a KL would pull whatever rewards say."""
    advantages = advantages_of(rewards, len(rollouts), settings.scale_rewards).values
    objective = objective_of(settings)
    batch = _batch(rollouts, advantages)
    return learn(student.policy.model, student.head, batch, objective)[1]


def _batch(rollouts: Sequence[Rollout], advantages: Sequence[float]) -> MicroBatch:
    num_tokens = sum(len(rollout.completion_ids) for rollout in rollouts)
    rows = zip(rollouts, advantages, strict=True)
    return batch_of([WeightedRow(rollout, value, 1 / num_tokens) for rollout, value in rows])
