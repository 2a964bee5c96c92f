import math

import mlx.core as mx
import pytest

from OnPolicyDistill.optim.gradients import add_gradients, clip_gradients, gradient_norm


def tree(left: list[float], right: list[float]) -> dict[str, object]:
    return {"layers": [{"a": mx.array(left)}, {}], "b": mx.array(right)}


def test_the_norm_runs_over_all_leaves_together() -> None:
    assert gradient_norm(tree([3.0, 0.0], [4.0])).item() == pytest.approx(5.0)


def test_long_gradients_are_scaled_down_to_the_maximum() -> None:
    clipped, norm = clip_gradients(tree([3.0, 0.0], [4.0]), 1.0)
    assert norm == pytest.approx(5.0)
    assert gradient_norm(clipped).item() == pytest.approx(1.0)
    assert clipped["b"].tolist() == pytest.approx([0.8])


def test_short_gradients_are_left_alone() -> None:
    gradients = tree([3.0, 0.0], [4.0])
    clipped, norm = clip_gradients(gradients, 5.5)
    assert clipped is gradients
    assert norm == pytest.approx(5.0)


def test_a_maximum_of_zero_never_clips() -> None:
    gradients = tree([3e5, 0.0], [4.0])
    assert clip_gradients(gradients, 0.0)[0] is gradients


def test_a_norm_that_is_no_number_is_reported_and_not_hidden() -> None:
    _, norm = clip_gradients(tree([math.nan, 0.0], [4.0]), 1.0)
    assert math.isnan(norm)
    _, norm = clip_gradients(tree([math.inf, 0.0], [4.0]), 1.0)
    assert norm == math.inf


def test_micro_batches_add_up() -> None:
    total = add_gradients({}, tree([1.0, 2.0], [3.0]))
    total = add_gradients(total, tree([10.0, 20.0], [30.0]))
    assert total["layers"][0]["a"].tolist() == [11.0, 22.0]
    assert total["b"].tolist() == [33.0]
