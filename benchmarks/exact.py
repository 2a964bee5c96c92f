"""The distillation loss and its gradient in float64, by numpy: what every other way is judged by.

The formulas are those of docs/methods.md, written for reading; the library shares no line with it.

Letters: N positions, V vocabulary, D hidden width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from OnPolicyDistill.divergences import FACTS
from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.losses.targets import HiddenTargets

Array = NDArray[np.float64]
ROWS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class ExactLoss:
    """Loss and divergence per position (N,), nats, and the gradient of the hidden states (N, D)."""

    losses: Array
    divergences: Array
    gradient: Array


def exact_loss(
    hidden: mx.array,
    head: VocabularyHead,
    targets: HiddenTargets,
    labels: mx.array,
    objective: Objective,
) -> ExactLoss:
    """Loss per position and its gradient; nothing is divided by the number of positions."""
    weight, teacher_weight = weights_of(head), weights_of(targets.head)
    student, teacher, chosen = as_float64(hidden), as_float64(targets.hidden), np.array(labels)
    parts = []
    for start in range(0, len(student), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        logits, bend = behind_the_head(student[rows] @ weight.T, head)
        teacher_logits, _ = behind_the_head(teacher[rows] @ teacher_weight.T, targets.head)
        losses, divergences, slope = _rows(logits, teacher_logits, chosen[rows], objective)
        parts.append((losses, divergences, (slope * bend) @ weight))
    losses, divergences, gradient = (np.concatenate(part) for part in zip(*parts, strict=True))
    return ExactLoss(losses, divergences, gradient)


def as_float64(values: mx.array) -> Array:
    """The same numbers in float64, whatever type they have."""
    return np.array(values.astype(mx.float32)).astype(np.float64)


def weights_of(head: VocabularyHead) -> Array:
    """The head's weights (V, D); packed ones as their scales and biases say, without rounding."""
    packed, V = head.quantization, head.vocab_size
    if packed is None:
        return as_float64(head.weight[:V])
    biases = None if packed.biases is None else packed.biases[:V].astype(mx.float32)
    weight = mx.dequantize(
        head.weight[:V],
        packed.scales[:V].astype(mx.float32),
        biases,
        group_size=packed.group_size,
        bits=packed.bits,
        mode=packed.mode,
    )
    return as_float64(weight)


def behind_the_head(projected: Array, head: VocabularyHead) -> tuple[Array, Array]:
    """Logits (N, V) of a projection (N, V), scaled and capped as the head says, and their slope."""
    scaled = head.scale * projected
    if head.cap is None:
        return scaled, np.full_like(scaled, head.scale)
    return head.cap * np.tanh(scaled / head.cap), head.scale / np.cosh(scaled / head.cap) ** 2


def log_softmax64(logits: Array) -> Array:
    """Logprobs over the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logprobs: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logprobs


def _rows(
    logits: Array, teacher_logits: Array, labels: NDArray[np.uint32], objective: Objective
) -> tuple[Array, Array, Array]:
    """Losses (n,), divergences (n,) and the gradient in the logits (n, V)."""
    T, rows = objective.temperature, np.arange(len(logits))
    student, teacher = log_softmax64(logits / T), log_softmax64(teacher_logits / T)
    value, slope = divergence64(student, teacher, objective)
    trained = value
    plain = log_softmax64(logits)
    if FACTS[objective.divergence].is_sampled:
        advantage = teacher[rows, labels] - plain[rows, labels]
        trained = -advantage * plain[rows, labels]
        slope = advantage[:, None] * _minus_one_at(np.exp(plain), labels)
    top = teacher_logits.argmax(axis=-1)
    losses = objective.kl_weight * T**2 * trained - objective.ce_weight * plain[rows, top]
    hard_slope = _minus_one_at(np.exp(plain), top)
    return losses, value, objective.kl_weight * T * slope + objective.ce_weight * hard_slope


def divergence64(student: Array, teacher: Array, objective: Objective) -> tuple[Array, Array]:
    """The divergence (n,) of logprobs (n, V) and its gradient in the student's scaled logits."""
    s, t = np.exp(student), np.exp(teacher)
    match objective.divergence:
        case "reverse_kl" | "sampled_reverse_kl":
            value = (s * (student - teacher)).sum(axis=-1)
            return value, s * (student - teacher - value[:, None])
        case "forward_kl":
            return (t * (teacher - student)).sum(axis=-1), s - t
        case "jsd":
            w = objective.teacher_weight
            mixture = np.log(w * t + (1 - w) * s)
            student_kl = (s * (student - mixture)).sum(axis=-1)
            teacher_kl = (t * (teacher - mixture)).sum(axis=-1)
            slope = (1 - w) * s * (student - mixture - student_kl[:, None])
            return w * teacher_kl + (1 - w) * student_kl, slope
        case _:
            assert_never(objective.divergence)


def _minus_one_at(probabilities: Array, ids: NDArray[np.integer]) -> Array:
    changed = probabilities.copy()
    changed[np.arange(len(ids)), ids] -= 1
    return changed
