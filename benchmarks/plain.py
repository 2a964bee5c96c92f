"""The distillation loss as one would write it first: whole float32 logits and autodiff.

Letters: N positions, V vocabulary.
"""

from __future__ import annotations

import math
from typing import assert_never

import mlx.core as mx

from OnPolicyDistill.divergences import FACTS
from OnPolicyDistill.losses.objective import Objective


def log_softmax(logits: mx.array, temperature: float) -> mx.array:
    """Logprobs at a temperature, (N, V)."""
    scaled = logits / temperature
    return scaled - mx.logsumexp(scaled, axis=-1, keepdims=True)


def plain_losses(
    logits: mx.array,
    teacher_logprobs: mx.array,
    top_ids: mx.array,
    labels: mx.array,
    objective: Objective,
) -> mx.array:
    """Loss per position (N,) of student logits (N, V), written for autodiff and for reading."""
    student = log_softmax(logits, objective.temperature)
    divergence = plain_divergence(student, teacher_logprobs, objective)
    if FACTS[objective.divergence].is_sampled:
        chosen = mx.take_along_axis(student, labels[:, None], axis=-1)[:, 0]
        teacher_chosen = mx.take_along_axis(teacher_logprobs, labels[:, None], axis=-1)[:, 0]
        divergence = -mx.stop_gradient(teacher_chosen - chosen) * chosen
    top = mx.take_along_axis(log_softmax(logits, 1.0), top_ids[:, None], axis=-1)[:, 0]
    return objective.kl_weight * objective.temperature**2 * divergence - objective.ce_weight * top


def plain_divergence(student: mx.array, teacher: mx.array, objective: Objective) -> mx.array:
    """The divergence (N,) of logprobs (N, V) that the objective names, or which it estimates."""
    match objective.divergence:
        case "reverse_kl" | "sampled_reverse_kl":
            return (mx.exp(student) * (student - teacher)).sum(axis=-1)
        case "forward_kl":
            return (mx.exp(teacher) * (teacher - student)).sum(axis=-1)
        case "jsd":
            return _plain_jsd(student, teacher, objective.teacher_weight)
        case _:
            assert_never(objective.divergence)


def _plain_jsd(student: mx.array, teacher: mx.array, teacher_weight: float) -> mx.array:
    mixture = mx.logaddexp(
        teacher + math.log(teacher_weight), student + math.log(1 - teacher_weight)
    )
    teacher_kl = (mx.exp(teacher) * (teacher - mixture)).sum(axis=-1)
    student_kl = (mx.exp(student) * (student - mixture)).sum(axis=-1)
    return teacher_weight * teacher_kl + (1 - teacher_weight) * student_kl
