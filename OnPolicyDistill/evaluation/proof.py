"""The proof of learning: before a run spends hours, measure that it can teach at all.

A trainer whose teacher is a copy of its student, whose gradients are zero, or whose adapter is not
in the graph draws the same calm curves as one that works. Ten measurements tell them apart. The
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
from OnPolicyDistill.evaluation.rescoring import rescore, rescoring_checks
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.losses.targets import HiddenTargets, Targets
from OnPolicyDistill.memory import checksum
from OnPolicyDistill.models.parameters import flat_arrays
from OnPolicyDistill.models.pieces import read_hidden_states
from OnPolicyDistill.models.policy import Policy
from OnPolicyDistill.optim.gradients import Gradients, gradient_norm
from OnPolicyDistill.rollout import Rollout, pack
from OnPolicyDistill.runs.events import Check
from OnPolicyDistill.stopping import check_stop

SMALLEST_KL = 1e-6
LARGEST_SELF_KL = 1e-4

SAMPLED_OTHERWISE = (
    "The student does not sample what it scores. Choose another model of its family, and report "
    "which one this is: its cache, positions or padding are read differently while decoding."
)
# The likely cause of each failed check, and what to do.
ADVICE = {
    "teacher_differs": "Teacher and student are the same model: name two different ones.",
    "equal_teacher": "Student and output head do not fit together: download the student again.",
    "completions_whole": (
        "Sampling lost or repeated a token at the end: compare eos_token_id in the student's "
        "generation_config.json with what its chat template writes."
    ),
    "logprobs_match": SAMPLED_OTHERWISE,
    "logprobs_near": SAMPLED_OTHERWISE,
    "logprobs_unbiased": (
        "Sampling left out tokens that scoring counts, or saw another adapter: check top_p and "
        "student_adapter."
    ),
    "temperature_matches": (
        "Tokens were drawn at another temperature than 1: check generation_temperature."
    ),
    "gradient_flows": (
        "The loss does not reach the adapter: check lora.targets and lora.layers, and that "
        "kl_weight or ce_weight is above 0 where there is a teacher."
    ),
    "equal_rewards": (
        "Rounding teaches where rewards do not: report it with the model and the settings."
    ),
    "advantages_balance": (
        "Rewards are compared with something else than their group's mean: report the settings."
    ),
    "adapter_moves": "The step was too small for the adapter's type: raise learning_rate.",
    "answers_begin": (
        "What is learned does not begin where the model would begin to write: report the model and "
        "its chat template."
    ),
    "labels_follow": "Tokens are learned in the wrong places: report the model and the settings.",
    "rest_is_silent": (
        "Words of the prompt or of the padding are learned: report the model and the settings."
    ),
    "weights_move": "The step was too small for the weights' type: raise learning_rate.",
    "loss_falls": (
        "The gradient is not that of the loss: report the model, and whether it is quantized."
    ),
    "put_back": "What the proof changed is still changed: report it with the model.",
    "base_stays": "Weights outside the adapter learn: remove what unfreezes them, and report it.",
}


@dataclass(frozen=True, slots=True)
class Probe:
    """What the proof works on: a few rollouts of the student and the scorer's targets of them.

    The targets are at temperature 1, and as fine as the scorer can give. `gradients` gives the
    model's gradients as the trainer takes them. `samples_policy` says whether the rollouts were
    drawn from the policy itself, so that their logprobs must match.
    """

    student: Policy
    head: VocabularyHead
    rollouts: tuple[Rollout, ...]
    targets: Targets
    gradients: Callable[[nn.Module], Gradients]
    make_optimizer: Callable[[], Optimizer]
    samples_policy: bool = True


def prove_learning(probe: Probe) -> tuple[Check, ...]:
    """Measure the claims; the student's weights are as before when it returns."""
    check_stop()
    batch = pack(probe.rollouts)
    hidden = read_hidden_states(probe.student.model, batch.tokens)
    hidden = mx.take(hidden.reshape(-1, hidden.shape[-1]), batch.positions, axis=0)  # (N, D)
    apart = compare_distributions(hidden, probe.head, probe.targets, batch.labels).reverse_kl.mean()
    itself = HiddenTargets(hidden, probe.head)
    alone = mx.abs(compare_distributions(hidden, probe.head, itself, batch.labels).reverse_kl).max()
    checks = [
        Check.above(
            "teacher_differs",
            f"Teacher and student give different distributions ({_distance(probe)}, nats).",
            as_float(apart),
            SMALLEST_KL,
        ),
        Check.at_most(
            "equal_teacher",
            "A teacher equal to the student teaches nothing (largest reverse KL, nats).",
            as_float(alone),
            LARGEST_SELF_KL,
        ),
    ]
    if probe.samples_policy:
        rescored = rescore(hidden, probe.head, batch.labels)
        checks.extend(rescoring_checks(probe.rollouts, rescored, probe.student.stop_ids))
    checks.extend(step_checks(probe.student.model, probe.gradients, probe.make_optimizer))
    return tuple(map(with_advice, checks))


def require(checks: tuple[Check, ...]) -> None:
    """Raise ProofError naming every claim that does not hold."""
    failed = [check for check in checks if not check.passed]
    if failed:
        listed = " ".join(
            f"{check.claim} Measured {check.measured_in_words}, {check.limit_in_words}."
            for check in failed
        )
        raise ProofError(
            f"The proof of learning failed, so training was not started: {listed}",
            " ".join(dict.fromkeys(check.advice for check in failed)),
        )


def _distance(probe: Probe) -> str:
    """What the distance to the teacher is: against a set of tokens and their tail it is larger."""
    is_exact = isinstance(probe.targets, HiddenTargets)
    return "mean reverse KL" if is_exact else "lower bound of the mean reverse KL"


def with_advice(check: Check) -> Check:
    """The check with the likely cause and what to do, where it failed."""
    return check if check.passed else check.model_copy(update={"advice": ADVICE[check.name]})


def step_checks(
    model: nn.Module,
    gradients_of: Callable[[nn.Module], Gradients],
    make_optimizer: Callable[[], Optimizer],
    has_adapter: bool = True,
) -> tuple[Check, ...]:
    """Take one optimizer step, look at what moved, and put everything back.

    Where no adapter learns, every weight does, and none is left that has to stay.
    """
    check_stop()
    trainable = flat_arrays(model.trainable_parameters())
    before = {name: mx.array(value) for name, value in trainable.items()}
    mx.eval(before)
    frozen_sum = checksum(_frozen(model))
    gradients = gradients_of(model)
    norm = as_float(gradient_norm(gradients))
    make_optimizer().update(model, gradients)
    after = flat_arrays(model.trainable_parameters())
    moved = sum(as_float(mx.abs(after[name] - before[name]).sum()) for name in before)
    frozen_moved = abs(checksum(_frozen(model)) - frozen_sum)
    model.load_weights(list(before.items()), strict=False)
    name, learner = ("adapter_moves", "adapter") if has_adapter else ("weights_move", "model")
    checks = (
        Check.above(
            "gradient_flows", f"The loss has a gradient in the {learner} (its norm).", norm, 0
        ),
        Check.above(name, f"One step changes the {learner} (sum of absolute changes).", moved, 0),
        Check.at_most(
            "base_stays",
            "One step leaves every frozen weight as it was (difference of their checksums).",
            frozen_moved,
            0,
        ),
    )
    return checks if has_adapter else checks[:-1]


def _frozen(model: nn.Module) -> list[mx.array]:
    trainable = flat_arrays(model.trainable_parameters())
    everything = flat_arrays(model.parameters())
    return [value for name, value in everything.items() if name not in trainable]
