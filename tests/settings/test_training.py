"""Steps and warm-up that follow from the number of rows."""

import pytest

from OnPolicyDistill.settings.training import LoraSettings, OptimizerSettings


def settled(num_rows: int, **values: object) -> tuple[int, int]:
    plain = {"batch_size": 4, "gradient_accumulation_steps": 2}
    settings = OptimizerSettings.model_validate({**plain, **values}).settled(num_rows)
    return settings.num_steps, settings.warmup_steps


def test_without_epochs_and_ratio_nothing_follows_from_the_rows() -> None:
    assert settled(50, num_steps=30, warmup_steps=5) == (30, 5)


@pytest.mark.parametrize(
    ("num_rows", "num_epochs", "num_steps"),
    [(80, 1, 10), (81, 1, 11), (80, 2.5, 25), (1, 1, 1), (3, 0.1, 1)],
)
def test_an_epoch_is_as_many_steps_as_show_every_row(
    num_rows: int, num_epochs: float, num_steps: int
) -> None:
    assert settled(num_rows, num_epochs=num_epochs, num_steps=30) == (num_steps, 0)


def test_the_warm_up_is_a_share_of_the_steps_that_are_taken() -> None:
    assert settled(80, num_epochs=10, warmup_ratio=0.03, warmup_steps=50) == (100, 3)
    assert settled(80, num_steps=1000, warmup_ratio=0.07) == (1000, 70)
    assert settled(80, num_steps=1000, warmup_ratio=0, warmup_steps=50) == (1000, 0)


@pytest.mark.parametrize("written", ["q_proj", ["q_proj"], " q_proj ,"])
def test_one_target_may_be_written_as_a_word(written: object) -> None:
    assert LoraSettings.model_validate({"targets": written}).targets == ("q_proj",)


def test_several_targets_may_be_written_with_commas() -> None:
    assert LoraSettings.model_validate({"targets": "q_proj,mlp.down_proj"}).targets == (
        "q_proj",
        "mlp.down_proj",
    )
