from typing import Any

import pytest
from pydantic import ValidationError

from OnPolicyDistill.settings.grpo import GrpoSettings


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"rewards": [{"kind": "python"}]}, ("rewards", 0, "file")),
        ({"rewards": [{"kind": "exact", "file": "a.py"}]}, ("rewards", 0, "file")),
        ({"rewards": [{"kind": "exact", "weight": 0}]}, ("rewards", 0, "weight")),
        ({"rewards": [{"kind": "label", "labels": []}]}, ("rewards", 0, "labels")),
        ({"rewards": [{"kind": "format_think"}]}, ("rewards",)),
        ({"rewards": [{"kind": "exact"}, {"kind": "exact"}]}, ("rewards", 1, "kind")),
        ({"rewards": []}, ("rewards",)),
        (
            {"rewards": [{"kind": "exact"}, {"kind": "length", "free_tokens": 512}]},
            ("rewards", 1, "free_tokens"),
        ),
        ({"loss_type": "cispo"}, ("epsilon_high",)),
        ({"loss_type": "cispo", "epsilon_high": 5, "delta": 2}, ("delta",)),
        ({"loss_type": "bnpo"}, ("loss_type",)),
        ({"reference": "start"}, ("reference",)),
        ({"num_completions": 1}, ("num_completions",)),
    ],
)
def test_settings_that_mean_nothing_are_refused_where_they_stand(
    changes: dict[str, Any], place: tuple[str | int, ...]
) -> None:
    with pytest.raises(ValidationError) as raised:
        GrpoSettings.model_validate(changes)
    assert [error["loc"] for error in raised.value.errors()] == [place]


def test_accuracy_is_counted_by_the_first_reward_that_knows_right_from_wrong() -> None:
    rewards = [{"kind": "format_think"}, {"kind": "label"}, {"kind": "exact"}]
    assert GrpoSettings.model_validate({"rewards": rewards}).grading_kind == "label"


def test_a_batch_counts_prompts() -> None:
    settings = GrpoSettings(batch_size=2, gradient_accumulation_steps=3, num_completions=4)
    assert settings.rows_per_step == 6
    assert settings.completions_per_step == 24
