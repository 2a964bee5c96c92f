"""How hidden states are kept on disk, and what that costs."""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
import pytest

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.settings.teachers import Precision
from OnPolicyDistill.teacher.precision import keep_hidden, kept_hidden, loss_of_keeping


def hidden_states(width: int) -> mx.array:
    return mx.random.normal((7, width), key=mx.random.key(0)) * mx.array(
        [[10.0 ** (n - 3)] for n in range(7)]
    )


def test_exact_states_come_back_bit_for_bit() -> None:
    hidden = hidden_states(48).astype(mx.bfloat16)
    back = kept_hidden(keep_hidden(hidden, "exact"), "bfloat16", 48)
    assert back.dtype == mx.bfloat16
    assert mx.array_equal(back, hidden).item()


@pytest.mark.parametrize("width", [1, 63, 64, 65, 200])
def test_int8_is_within_half_a_step_of_each_groups_largest(width: int) -> None:
    hidden = hidden_states(width)
    kept = keep_hidden(hidden, "int8")
    assert kept["whole"].dtype == mx.int8
    back = np.array(kept_hidden(kept, "float32", width))
    exact = np.array(hidden)
    assert back.shape == exact.shape
    for start in range(0, width, 64):
        part, theirs = exact[:, start : start + 64], back[:, start : start + 64]
        step = np.abs(part).max(axis=1, keepdims=True) / 127
        assert (np.abs(part - theirs) <= 0.501 * step).all()


def test_positions_of_zeros_stay_zeros() -> None:
    back = kept_hidden(keep_hidden(mx.zeros((2, 70)), "int8"), "float32", 70)
    assert mx.array_equal(back, mx.zeros((2, 70))).item()


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_states_of_a_broken_teacher_do_not_read_back_as_whole(broken: float) -> None:
    hidden = mx.ones((2, 70))
    hidden[0, 3] = broken
    back = kept_hidden(keep_hidden(hidden, "int8"), "float32", 70)
    assert mx.isnan(back[0, :64]).all().item()
    assert mx.array_equal(back[1], hidden[1]).item()


def test_what_keeping_costs_is_the_divergence_worked_out_by_hand() -> None:
    head = VocabularyHead(weight=mx.eye(3), vocab_size=3)
    hidden, kept = mx.array([[1.0, 0.0, -1.0]]), mx.array([[0.9, 0.0, -1.0]])
    p, q = (np.exp(np.array(x[0], float)) for x in (hidden, kept))
    p, q = p / p.sum(), q / q.sum()
    by_hand = float((p * np.log(p / q)).sum())
    mean, most = loss_of_keeping(hidden, kept, head)
    assert mean == pytest.approx(by_hand, rel=1e-4)
    assert most == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_int8_takes_about_a_quarter_of_float32_and_bfloat16_half(precision: Precision) -> None:
    kept = keep_hidden(mx.ones((10, 640)), precision)
    size = sum(array.nbytes for array in kept.values())
    assert size == {"bfloat16": 12_800, "int8": 6400 + 400}[precision]
