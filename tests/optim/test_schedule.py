import pytest

from OnPolicyDistill.optim.schedule import learning_rate
from OnPolicyDistill.settings.training import OptimizerSettings


def settings(**values: object) -> OptimizerSettings:
    return OptimizerSettings.model_validate({"learning_rate": 1.0, "num_steps": 11, **values})


def test_a_constant_schedule_keeps_the_peak() -> None:
    assert [learning_rate(settings(), step) for step in (1, 6, 11)] == [1.0, 1.0, 1.0]


def test_a_linear_schedule_falls_from_the_peak_to_the_minimum() -> None:
    linear = settings(schedule="linear", schedule_min_ratio=0.1)
    rates = [learning_rate(linear, step) for step in (1, 6, 11)]
    assert rates == pytest.approx([1.0, 0.55, 0.1])


def test_a_cosine_schedule_has_its_middle_half_way_between_peak_and_minimum() -> None:
    cosine = settings(schedule="cosine", schedule_min_ratio=0.2)
    rates = [learning_rate(cosine, step) for step in (1, 6, 11)]
    assert rates == pytest.approx([1.0, 0.6, 0.2])


def test_the_warm_up_rises_linearly_and_the_step_after_it_has_the_peak() -> None:
    warm = settings(warmup_steps=4, schedule="linear", schedule_min_ratio=0.0)
    rates = [learning_rate(warm, step) for step in (1, 2, 4, 5, 8, 11)]
    assert rates == pytest.approx([0.2, 0.4, 0.8, 1.0, 0.5, 0.0])


def test_steps_after_the_last_keep_the_minimum() -> None:
    linear = settings(schedule="linear", schedule_min_ratio=0.1)
    assert learning_rate(linear, 50) == pytest.approx(0.1)


def test_a_warm_up_longer_than_the_run_is_no_error() -> None:
    assert learning_rate(settings(warmup_steps=50), 11) == pytest.approx(11 / 51)


@pytest.mark.parametrize("warmup_steps", [0, 3, 10, 11, 50])
def test_the_highest_share_is_that_of_the_steps_that_are_taken(warmup_steps: int) -> None:
    warm = settings(warmup_steps=warmup_steps)
    assert warm.highest_share == pytest.approx(max(learning_rate(warm, n) for n in range(1, 12)))
