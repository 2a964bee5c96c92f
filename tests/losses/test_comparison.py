import math
from dataclasses import astuple
from typing import Any

import mlx.core as mx
import pytest

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.comparison import compare_distributions
from OnPolicyDistill.losses.targets import HiddenTargets, top_k_targets
from tests.losses.conftest import NUM_TERMS
from tests.rounding import agree


def head_of(*probabilities: float) -> VocabularyHead:
    return VocabularyHead(mx.log(mx.array(probabilities))[:, None], len(probabilities))


def test_three_tokens_by_hand() -> None:
    # Student (1/2, 1/4, 1/4), teacher (1/8, 1/8, 3/4); both KLs as in test_divergence.py.
    hidden = mx.ones((1, 1))
    teacher = HiddenTargets(hidden, head_of(1 / 8, 1 / 8, 3 / 4))
    student = head_of(1 / 2, 1 / 4, 1 / 4)
    result = compare_distributions(hidden, student, teacher, mx.array([0]))
    assert result.reverse_kl.item() == pytest.approx(0.591781, abs=2e-6)
    assert result.forward_kl.item() == pytest.approx(0.564029, abs=2e-6)
    assert result.agreement.item() == 0
    assert result.top5_agreement.item() == 1
    # 1/2 ln 2 + 1/2 ln 4 = 1.039721; 1/4 ln 8 + 3/4 ln(4/3) = 0.519860 + 0.215762
    assert result.student_entropy.item() == pytest.approx(1.039721, abs=2e-6)
    assert result.teacher_entropy.item() == pytest.approx(0.735622, abs=2e-6)
    assert result.student_logprob.item() == pytest.approx(math.log(1 / 2))
    assert result.teacher_logprob.item() == pytest.approx(math.log(1 / 8))


@pytest.mark.parametrize(("rank", "expected"), [(0, (1, 1)), (1, (0, 1)), (4, (0, 1)), (5, (0, 0))])
def test_top_five_means_fewer_than_five_better_tokens(rank: int, expected: tuple[int, int]) -> None:
    student = head_of(*(float(8 - i) for i in range(8)))
    teacher = head_of(*(9.0 if i == rank else 1.0 for i in range(8)))
    hidden = mx.ones((1, 1))
    result = compare_distributions(hidden, student, HiddenTargets(hidden, teacher), mx.array([0]))
    assert (result.agreement.item(), result.top5_agreement.item()) == expected


def test_chunks_and_rows_do_not_mix(pair: Any) -> None:
    whole, parts = (
        compare_distributions(pair.hidden, pair.head, pair.targets, pair.labels, chunk_size)
        for chunk_size in (None, 2)
    )
    for left, right in zip(astuple(whole), astuple(parts), strict=True):
        assert left.shape == (7,)
        assert left.dtype == mx.float32
        assert agree(left, right, NUM_TERMS)


def test_top_k_targets_bound_the_kls_from_below(pair: Any) -> None:
    exact = compare_distributions(pair.hidden, pair.head, pair.targets, pair.labels)
    targets = top_k_targets(pair.targets, pair.labels, 6, 1.0)
    bound = compare_distributions(pair.hidden, pair.head, targets, pair.labels)
    for name in ("reverse_kl", "forward_kl", "teacher_entropy"):
        lower, upper = getattr(bound, name), getattr(exact, name)
        assert (lower <= upper + 1e-6).all().item()
        assert (lower > 0).all().item()
    for name in ("agreement", "top5_agreement", "student_entropy", "teacher_logprob"):
        assert mx.allclose(getattr(bound, name), getattr(exact, name), atol=1e-6)


def test_top_k_targets_of_another_temperature_are_refused(pair: Any) -> None:
    targets = top_k_targets(pair.targets, pair.labels, 6, 2.0)
    with pytest.raises(ValueError, match=r"temperature 2\.0, not 1"):
        compare_distributions(pair.hidden, pair.head, targets, pair.labels)
