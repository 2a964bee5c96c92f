"""At a full vocabulary, and with 16-bit and packed heads, losses are those of float64."""

from dataclasses import replace
from functools import lru_cache

import mlx.core as mx
import numpy as np
import pytest

from benchmarks.divergence import HeadType, Problem, Setting, random_problem
from benchmarks.exact import ExactLoss, as_float64, exact_loss, log_softmax64, weights_of
from OnPolicyDistill.divergences import DIVERGENCES, Divergence
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.losses.cross_entropy import cross_entropy_from_logits, label_logprobs
from OnPolicyDistill.losses.distillation import TokenStats, distillation_loss
from OnPolicyDistill.losses.targets import HiddenTargets, top_k_targets

FULL = 151_936
# A row's sums are off by a few 1e-7 of themselves; products of 64 terms by as much.
RELATIVE = 1e-5
NATS = 1e-5


@lru_cache(maxsize=2)
def problem_of(divergence: Divergence) -> Problem:
    return random_problem(Setting(FULL, 8, 64), divergence)


@lru_cache(maxsize=2)
def close_pair(head_type: HeadType) -> Problem:
    """A teacher near its student, logits up to 35: between 16 and 32 bfloat16 is 0.125 apart."""
    problem = random_problem(Setting(FULL, 8, 64, None, head_type, 0.02), "reverse_kl")
    targets = HiddenTargets(4 * problem.targets.hidden, problem.targets.head)
    return replace(problem, hidden=4 * problem.hidden, targets=targets)


def exact_of(problem: Problem) -> ExactLoss:
    parts = (problem.hidden, problem.head, problem.targets, problem.labels, problem.objective)
    return exact_loss(*parts)


def fused(problem: Problem) -> tuple[TokenStats, mx.array]:
    """Statistics, and the gradient of the summed loss."""

    def loss(hidden: mx.array) -> tuple[mx.array, TokenStats]:
        parts = (problem.head, problem.targets, problem.labels, 1.0, problem.objective)
        return distillation_loss(hidden, *parts)

    (_, stats), gradient = mx.value_and_grad(loss)(problem.hidden)
    return stats, gradient


def apart(found: mx.array, expected: np.ndarray) -> float:
    return float(np.linalg.norm(as_float64(found) - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_a_full_vocabularys_divergence_and_gradient_are_those_of_float64(
    divergence: Divergence,
) -> None:
    problem = problem_of(divergence)
    exact = exact_of(problem)
    stats, gradient = fused(problem)
    assert np.abs(as_float64(stats.divergence) - exact.divergences).max() < NATS
    assert apart(gradient, exact.gradient) < RELATIVE


@pytest.mark.parametrize("head_type", ["bfloat16", "4-bit"])
def test_heads_of_few_bits_keep_a_small_divergence_and_its_gradient(head_type: HeadType) -> None:
    problem = close_pair(head_type)
    exact = exact_of(problem)
    assert 1e-3 < exact.divergences.mean() < 0.05
    stats, gradient = fused(problem)
    assert np.abs(as_float64(stats.divergence) - exact.divergences).max() < NATS
    # The gradient is handed on in the hidden states' own type: half of 2 ** -8 at most.
    assert gradient.dtype == mx.bfloat16
    assert apart(gradient, exact.gradient) < 2**-9


def test_what_evaluation_reports_of_a_bfloat16_head_is_exact() -> None:
    problem = close_pair("bfloat16")
    student = log_softmax64(as_float64(problem.hidden) @ weights_of(problem.head).T)
    teacher = log_softmax64(as_float64(problem.targets.hidden) @ weights_of(problem.targets.head).T)
    compared = compare_distributions(problem.hidden, problem.head, problem.targets, problem.labels)
    labels = np.array(problem.labels)[:, None]
    expected = {
        "reverse_kl": (np.exp(student) * (student - teacher)).sum(-1),
        "forward_kl": (np.exp(teacher) * (teacher - student)).sum(-1),
        "student_entropy": -(np.exp(student) * student).sum(-1),
        "teacher_entropy": -(np.exp(teacher) * teacher).sum(-1),
        "student_logprob": np.take_along_axis(student, labels, -1)[:, 0],
        "teacher_logprob": np.take_along_axis(teacher, labels, -1)[:, 0],
    }
    found = {name: as_float64(getattr(compared, name)) for name in expected}
    errors = {name: np.abs(found[name] - value).max() for name, value in expected.items()}
    assert max(errors.values()) < NATS
    scored = as_float64(label_logprobs(problem.hidden, problem.head, problem.labels))
    assert np.abs(scored - expected["student_logprob"]).max() < NATS


def test_the_tail_of_a_full_vocabulary_is_that_of_float64() -> None:
    problem = problem_of("reverse_kl")
    found = top_k_targets(problem.targets, problem.labels, 8, 2.0)
    logits = as_float64(problem.targets.hidden) @ weights_of(problem.targets.head).T
    logprobs = log_softmax64(logits / 2.0)
    mass = np.exp(logprobs)
    np.put_along_axis(mass, np.array(found.ids).astype(np.int64), 0.0, axis=-1)
    assert np.abs(as_float64(found.tail_logprob) - np.log(mass.sum(-1))).max() < NATS


def test_cross_entropy_over_whole_logits_is_that_of_float64() -> None:
    problem = problem_of("reverse_kl")
    logits = problem.head.logits(problem.hidden)
    loss = cross_entropy_from_logits(logits, problem.labels, mx.ones((8,)), 1.0)
    chosen = np.take_along_axis(
        log_softmax64(as_float64(logits)), np.array(problem.labels)[:, None].astype(np.int64), -1
    )
    assert loss.item() == pytest.approx(-chosen.sum(), rel=1e-6)
