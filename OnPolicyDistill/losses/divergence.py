"""Divergences between student and teacher with their gradients written out.

Every function returns the value per position, (N,), and its gradient with respect to the
student's logits / T, (N, V); docs/methods.md derives them. Values are never clamped: rounding
may make a KL of equal distributions about 1e-6 below zero.

Letters: N positions, V vocabulary.
"""

from __future__ import annotations

from typing import assert_never

import mlx.core as mx

from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.softened import Softened
from OnPolicyDistill.vocabulary import vocabulary_sum

SMALLEST_NORMAL = 1.1754944e-38


def divergence(
    student: Softened, teacher: Softened, objective: Objective
) -> tuple[mx.array, mx.array]:
    """Divergence that the objective names; for sampled_reverse_kl the one it estimates."""
    match objective.divergence:
        case "reverse_kl" | "sampled_reverse_kl":
            return reverse_kl(student, teacher)
        case "forward_kl":
            return forward_kl(student, teacher)
        case "jsd":
            return generalized_jsd(student, teacher, objective.teacher_weight)
        case _:
            assert_never(objective.divergence)


def reverse_kl(student: Softened, teacher: Softened) -> tuple[mx.array, mx.array]:
    """KL(student || teacher): the student pays for what it likes and the teacher does not."""
    student_probabilities = student.probabilities
    weighted = student_probabilities * _log_odds(student, teacher)
    mean = vocabulary_sum(weighted)
    value = mean - (student.log_total - teacher.log_total)
    return value[:, 0], weighted - mean * student_probabilities


def forward_kl(student: Softened, teacher: Softened) -> tuple[mx.array, mx.array]:
    """KL(teacher || student): the student pays for what the teacher likes and it does not."""
    teacher_probabilities = teacher.probabilities
    weighted = teacher_probabilities * _log_odds(teacher, student)
    mean = vocabulary_sum(weighted)
    value = mean - (teacher.log_total - student.log_total)
    return value[:, 0], student.probabilities - teacher_probabilities


def generalized_jsd(
    student: Softened, teacher: Softened, teacher_weight: float
) -> tuple[mx.array, mx.array]:
    """Generalized JSD: w KL(teacher || m) + (1 - w) KL(student || m), w = `teacher_weight`.

    The mixture m is w teacher + (1 - w) student (arXiv 2306.13649, where w is beta). Divided by w
    it tends to the forward KL for w towards 0, by 1 - w to the reverse KL for w towards 1.
    """
    student_weight = 1 - teacher_weight
    student_probabilities, teacher_probabilities = student.probabilities, teacher.probabilities
    mixture = teacher_weight * teacher_probabilities + student_weight * student_probabilities
    mixture = mx.maximum(mixture, SMALLEST_NORMAL)
    student_weighted = _weighted_log_ratio(student_probabilities, mixture)
    teacher_weighted = _weighted_log_ratio(teacher_probabilities, mixture)
    student_kl = vocabulary_sum(student_weighted)
    teacher_kl = vocabulary_sum(teacher_weighted)
    value = teacher_weight * teacher_kl + student_weight * student_kl
    gradient = student_weight * (student_weighted - student_kl * student_probabilities)
    return value[:, 0], gradient


def _log_odds(left: Softened, right: Softened) -> mx.array:
    """Difference of the scaled logits, (N, V): log(left / right) but for one constant a row."""
    return (left.logits - right.logits) * (1 / left.temperature)


def _weighted_log_ratio(probabilities: mx.array, mixture: mx.array) -> mx.array:
    """Compute p log(p / m), which is 0 where p is: only there the smallest number replaces p."""
    return probabilities * mx.log(mx.maximum(probabilities, SMALLEST_NORMAL) / mixture)
