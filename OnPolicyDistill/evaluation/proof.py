"""The proof of learning: before a run spends hours, measure that it can teach at all.

A trainer whose teacher is a copy of its student, whose gradients are zero, or whose adapter is not
in the graph draws the same calm curves as one that works. Six measurements tell them apart. The
probe step they need is undone: the run begins with the bits it would have begun with anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import Optimizer

from OnPolicyDistill.arrays import as_float
from OnPolicyDistill.errors import ProofError
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.losses.cross_entropy import label_logprobs
from OnPolicyDistill.losses.targets import HiddenTargets
from OnPolicyDistill.memory import checksum
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.policy import Policy, hidden_states
from OnPolicyDistill.optim.gradients import Gradients, gradient_norm
from OnPolicyDistill.rollout import Rollout, pack
from OnPolicyDistill.runs.events import Check

SMALLEST_KL = 1e-6
LARGEST_SELF_KL = 1e-4
LOGPROB_LIMIT = {mx.float32: 1e-3}
LOW_PRECISION_LOGPROB_LIMIT = 0.1


@dataclass(frozen=True, slots=True)
class Probe:
    """What the proof works on: a few rollouts of the student and the teacher's exact targets.

    `gradients` gives the model's gradients as the trainer takes them. `samples_policy` says
    whether the rollouts were drawn from the policy itself, so that their logprobs must match.
    """

    student: Policy
    head: VocabularyHead
    rollouts: tuple[Rollout, ...]
    targets: HiddenTargets
    gradients: Callable[[nn.Module], Gradients]
    make_optimizer: Callable[[], Optimizer]
    samples_policy: bool = True


def prove_learning(probe: Probe) -> tuple[Check, ...]:
    """Measure the claims; the student's weights are as before when it returns."""
    batch = pack(probe.rollouts)
    hidden = hidden_states(probe.student.model, batch.tokens)
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
    apart = compare_distributions(hidden, probe.head, probe.targets, batch.labels).reverse_kl.mean()
    itself = HiddenTargets(hidden, probe.head)
    alone = mx.abs(compare_distributions(hidden, probe.head, itself, batch.labels).reverse_kl).max()
    checks = [
        _check(
            "teacher_differs",
            "Teacher and student give different distributions (mean reverse KL, nats).",
            as_float(apart),
            at_least=SMALLEST_KL,
        ),
        _check(
            "equal_teacher",
            "A teacher equal to the student teaches nothing (largest reverse KL, nats).",
            as_float(alone),
            at_most=LARGEST_SELF_KL,
        ),
    ]
    if probe.samples_policy:
        checks.append(_sampling_check(probe, hidden, batch.labels))
    return (*checks, *_step_checks(probe))


def require(checks: tuple[Check, ...]) -> None:
    """Raise ProofError naming every claim that does not hold."""
    failed = [check for check in checks if not check.passed]
    if failed:
        listed = " ".join(
            f"{check.claim} Measured {check.measured:.3g}, {check.limit_in_words}."
            for check in failed
        )
        raise ProofError(
            f"The proof of learning failed, so training was not started: {listed}",
            "Check that teacher and student are different models and that the adapter has targets.",
        )


def _sampling_check(probe: Probe, hidden: mx.array, labels: mx.array) -> Check:
    rescored = label_logprobs(hidden, probe.head, labels)
    sampled = mx.array([value for rollout in probe.rollouts for value in rollout.logprobs])
    return _check(
        "logprobs_match",
        "Logprobs noted while sampling equal re-scored ones (largest difference, nats).",
        as_float(mx.abs(rescored - sampled).max()),
        at_most=LOGPROB_LIMIT.get(hidden.dtype, LOW_PRECISION_LOGPROB_LIMIT),
    )


def _step_checks(probe: Probe) -> tuple[Check, Check, Check]:
    """Take one optimizer step, look at what moved, and put everything back."""
    model = probe.student.model
    trainable = flat_arrays(model.trainable_parameters())
    before = {name: mx.array(value) for name, value in trainable.items()}
    mx.eval(before)
    frozen_sum = checksum(_frozen(probe))
    gradients = probe.gradients(model)
    norm = as_float(gradient_norm(gradients))
    probe.make_optimizer().update(model, gradients)
    after = flat_arrays(model.trainable_parameters())
    moved = sum(as_float(mx.abs(after[name] - before[name]).sum()) for name in before)
    frozen_moved = abs(checksum(_frozen(probe)) - frozen_sum)
    model.load_weights(list(before.items()), strict=False)
    return (
        _check(
            "gradient_flows",
            "The loss has a gradient in the adapter (its norm).",
            norm,
            at_least=0.0,
        ),
        _check(
            "adapter_moves",
            "One step changes the adapter (sum of absolute changes).",
            moved,
            at_least=0.0,
        ),
        _check(
            "base_stays",
            "One step leaves every frozen weight as it was (difference of their checksums).",
            float(frozen_moved),
            at_most=0.0,
        ),
    )


def _frozen(probe: Probe) -> list[mx.array]:
    model = probe.student.model
    trainable = flat_arrays(model.trainable_parameters())
    everything = flat_arrays(model.parameters())
    return [value for name, value in everything.items() if name not in trainable]


def _check(
    name: str,
    claim: str,
    measured: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Check:
    """Judge a number; `at_least` must be exceeded, and not-a-number never passes."""
    above = at_least is not None
    limit = at_least if at_least is not None else at_most
    assert limit is not None
    return Check(
        name=name,
        passed=measured > limit if above else measured <= limit,
        measured=measured,
        limit=limit,
        bound="above" if above else "at_most",
        claim=claim,
    )
