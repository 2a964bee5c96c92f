"""A tiny student and teacher: two heads of different widths over 40 tokens, 48 rows wide."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import pytest

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.targets import HiddenTargets

N, V, P = 7, 40, 48
# What the pair's numbers are sums of: at most 12 products a logit, and 40 tokens a softmax.
NUM_TERMS = 12 + V


@dataclass(frozen=True, slots=True)
class Pair:
    """Hidden states (N, D) of a student with its head, targets of a teacher, labels (N,)."""

    hidden: mx.array
    head: VocabularyHead
    targets: HiddenTargets
    labels: mx.array


@pytest.fixture
def pair() -> Pair:
    """Unequal widths, biased student head, and padding rows that would win every softmax."""
    keys = mx.random.split(mx.random.key(3), 6)
    student_weight = mx.random.normal((P, 8), key=keys[0])
    teacher_weight = mx.random.normal((P, 12), key=keys[1])
    bias = mx.concatenate([mx.random.normal((V,), key=keys[2]), mx.full((P - V,), 50.0)])
    return Pair(
        mx.random.normal((N, 8), key=keys[3]),
        VocabularyHead(student_weight, V, bias=bias),
        HiddenTargets(
            mx.random.normal((N, 12), key=keys[4]), VocabularyHead(teacher_weight, vocab_size=V)
        ),
        mx.random.randint(0, V, (N,), key=keys[5]),
    )
