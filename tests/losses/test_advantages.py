import json
from pathlib import Path
from typing import Any

import pytest

from OnPolicyDistill.losses.advantages import advantages_of

RULER = json.loads(
    (Path(__file__).parents[1] / "data" / "grpo" / "grpo_fixture.json").read_text(encoding="utf-8")
)


def ruler_rewards(name: str) -> list[float | None]:
    """Weighted sums; None everywhere means that a row cannot be graded."""
    rewards = RULER["reward_sets"][name]
    columns = [rewards["rewards"][key] for key in rewards["weights"]]
    weights = rewards["weights"].values()
    return [
        None
        if all(mark is None for mark in marks)
        else sum(weight * mark for weight, mark in zip(weights, marks, strict=True))
        for marks in zip(*columns, strict=True)
    ]


@pytest.mark.parametrize("case", RULER["cases"], ids=lambda case: case["name"])
def test_advantages_are_those_of_the_ruler(case: dict[str, Any]) -> None:
    advantages = advantages_of(ruler_rewards(case["reward_set"]), 3, case["scale_rewards"])
    assert advantages.values == pytest.approx(case["advantages"], abs=1e-11)


def test_advantages_by_hand() -> None:
    # Mean 1/4, deviations 3/4 and three times -1/4, variance (9 + 3) / 16 / 3 = 1/4, spread 1/2.
    advantages = advantages_of([1.0, 0.0, 0.0, 0.0], 4)
    assert advantages.values == pytest.approx((0.75 / 0.5001, *(3 * (-0.25 / 0.5001,))))
    assert advantages.spread == 0.5


@pytest.mark.parametrize("size", [2, 3, 5, 8, 16])
@pytest.mark.parametrize("reward", [0.7, 0.1, 1 / 3, 1.1])
def test_equal_rewards_give_advantages_of_exactly_nothing(size: int, reward: float) -> None:
    advantages = advantages_of([reward] * size, size)
    assert advantages.values == (0.0,) * size
    assert advantages.is_dead == (True,) * size


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
def test_advantages_of_a_group_sum_to_zero(scale: Any) -> None:
    rewards = [0.7, 0.1, 0.3, 0.7, 0.2, 0.9, 0.9, 0.4]
    values = advantages_of(rewards, 4, scale).values
    assert sum(values[:4]) == pytest.approx(0, abs=1e-12)
    assert sum(values[4:]) == pytest.approx(0, abs=1e-12)


def test_a_dead_group_stays_dead_beside_one_that_lives() -> None:
    for scale in ("group", "batch", "none"):
        advantages = advantages_of([0.7, 0.7, 0.7, 0.1, 0.2, 0.7], 3, scale)
        assert advantages.values[:3] == (0.0, 0.0, 0.0)
        assert advantages.is_dead == (True, True, True, False, False, False)


def test_what_cannot_be_graded_is_left_out_of_the_mean() -> None:
    advantages = advantages_of([1.0, None, 0.0, None], 4, "none")
    assert advantages.values == (0.5, 0.0, -0.5, 0.0)
    assert advantages_of([1.0, None, None], 3).is_dead == (True, True, True)
    assert advantages_of([None, None], 2).values == (0.0, 0.0)


@pytest.mark.parametrize(("rewards", "size"), [([], 2), ([1.0, 0.0, 0.0], 2), ([1.0], 0)])
def test_rewards_that_are_no_whole_groups_are_refused(rewards: list[float], size: int) -> None:
    with pytest.raises(ValueError, match="whole groups"):
        advantages_of(rewards, size)
