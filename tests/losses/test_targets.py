import math
from typing import Any

import mlx.core as mx
import pytest

from OnPolicyDistill.head import VocabularyHead
from OnPolicyDistill.losses.targets import HiddenTargets, top_ids, top_k_targets
from tests.losses.conftest import NUM_TERMS
from tests.rounding import agree

# At temperature 2: probabilities 1/2, 1/4, 1/8, 1/8.
TEACHER = HiddenTargets(
    mx.ones((1, 1)), VocabularyHead(2 * mx.log(mx.array([[4.0], [2.0], [1.0], [1.0]])), 4)
)

LABELS = mx.array([1])


def test_two_best_of_four_by_hand() -> None:
    targets = top_k_targets(TEACHER, LABELS, k=2, temperature=2.0)
    assert targets.ids.tolist() == [[0, 1]]
    assert targets.logprobs[0].tolist() == pytest.approx([math.log(1 / 2), math.log(1 / 4)])
    assert targets.tail_logprob.item() == pytest.approx(math.log(1 / 4))
    assert targets.top_id.item() == 0
    # At temperature 1: 16, 4, 1, 1 of 22.
    assert targets.label_logprob.item() == pytest.approx(math.log(4 / 22))


def test_the_set_is_the_union_with_each_token_once() -> None:
    also = mx.array([[3, 0, 3]])
    targets = top_k_targets(TEACHER, LABELS, k=2, temperature=2.0, also_ids=also)
    assert targets.ids.tolist() == [[0, 0, 1, 3, 3]]
    expected = [math.log(1 / 2), -math.inf, math.log(1 / 4), math.log(1 / 8), -math.inf]
    assert targets.logprobs[0].tolist() == pytest.approx(expected)
    assert targets.tail_logprob.item() == pytest.approx(math.log(1 / 8))


def test_the_whole_vocabulary_leaves_no_tail() -> None:
    targets = top_k_targets(TEACHER, LABELS, k=4, temperature=2.0)
    assert targets.tail_logprob.item() == -math.inf
    assert mx.exp(targets.logprobs).sum().item() == pytest.approx(1)


def test_a_tiny_tail_is_not_lost_to_cancellation() -> None:
    # The tail holds two tokens 40 nats below the best: 2 exp(-40), far below float32's epsilon.
    head = VocabularyHead(mx.array([[0.0], [-40.0], [-40.0]]), 3)
    targets = top_k_targets(HiddenTargets(mx.ones((1, 1)), head), LABELS, k=1, temperature=1.0)
    assert targets.logprobs.item() == pytest.approx(0, abs=1e-7)
    assert targets.tail_logprob.item() == pytest.approx(math.log(2) - 40)


def test_set_and_tail_hold_all_the_mass_whatever_the_chunks(pair: Any) -> None:
    also = top_ids(pair.hidden, pair.head, 5, chunk_size=4)
    targets = [
        top_k_targets(pair.targets, pair.labels, 6, 1.5, also, chunk_size) for chunk_size in (2, 7)
    ]
    mass = mx.exp(targets[0].logprobs).sum(axis=-1) + mx.exp(targets[0].tail_logprob)
    assert mass.tolist() == pytest.approx([1.0] * 7)
    for left, right in zip(targets[0].arrays, targets[1].arrays, strict=True):
        assert agree(left, right, NUM_TERMS)


def test_top_ids_are_the_best_of_the_real_vocabulary(pair: Any) -> None:
    best = mx.argsort(-pair.head.logits(pair.hidden), axis=-1)[:, :5]
    actual = top_ids(pair.hidden, pair.head, 5, chunk_size=3)
    assert mx.sort(actual, axis=-1).tolist() == mx.sort(best, axis=-1).tolist()


@pytest.mark.parametrize("k", [0, 5])
def test_an_impossible_k_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 4"):
        top_k_targets(TEACHER, LABELS, k, 1.0)
