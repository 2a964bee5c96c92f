"""How much of a completion is learned, and how often rollouts are used, as settings."""

from __future__ import annotations

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.prefix import learned_tokens


@pytest.mark.parametrize(
    ("given", "chosen", "tokens"),
    [
        ("all", None, 50),
        ("all", 7, 50),
        ("auto", None, 50),
        ("auto", 7, 7),
        ("auto", 60, 50),
        (12, None, 12),
        ("12", 7, 12),
        (80, None, 50),
        ("30%", None, 15),
        ("1%", None, 1),
        ("100%", None, 50),
    ],
)
def test_what_is_learned_is_all_a_number_a_share_or_what_was_chosen(
    given: object, chosen: int | None, tokens: int
) -> None:
    settings = DistillationSettings.model_validate(
        {"loss_tokens": given, "max_generation_tokens": 50}
    )
    assert learned_tokens(settings.loss_tokens, 50, chosen) == tokens
    assert settings.limited(chosen).max_generation_tokens == tokens


@pytest.mark.parametrize("given", ["", "0", 0, "-3", "half", "0%", "101%", "3.5", True, 1.5])
def test_anything_else_is_refused_with_what_is_wanted(given: object) -> None:
    with pytest.raises(ConfigError, match="loss_tokens"):
        parse_config({"distillation": {"loss_tokens": given}})


@pytest.mark.parametrize(
    "changes",
    [
        {"loss_tokens": "auto", "keep_teacher_loaded": False},
        {"rollout_reuse": 2, "fixed_rollouts": True},
        {"rollout_reuse": 2, "on_policy_fraction": 0.5},
        {"rollout_reuse": 2, "keep_teacher_loaded": False},
        {"rollout_reuse": 2, "generation_temperature": 0.7},
        {"rollout_reuse": 2, "top_p": 0.9},
    ],
)
def test_what_does_not_go_together_is_refused_in_words(changes: dict[str, object]) -> None:
    name = next(iter(changes))
    with pytest.raises(ConfigError, match=r"must be|needs") as caught:
        parse_config({"distillation": changes})
    assert name in str(caught.value)


@pytest.mark.parametrize("changes", [{"loss_tokens": 5}, {"rollout_reuse": 2}])
def test_answers_that_are_given_are_learned_whole_and_each_by_itself(
    changes: dict[str, object],
) -> None:
    with pytest.raises(ConfigError, match="set training to on_policy"):
        parse_config({"prompt_distillation": changes})
    parse_config({"prompt_distillation": {**changes, "training": "on_policy"}})


@pytest.mark.parametrize("method", ["sft", "grpo", "projector"])
@pytest.mark.parametrize("key", ["loss_tokens", "rollout_reuse"])
def test_a_method_without_scored_rollouts_has_neither(method: str, key: str) -> None:
    with pytest.raises(ConfigError, match="no such setting"):
        parse_config({method: {key: 2}})


def test_epochs_count_rows_and_not_uses_of_them() -> None:
    settings = DistillationSettings(
        num_epochs=2, batch_size=4, gradient_accumulation_steps=1, warmup_ratio=0.5
    )
    reused = settings.model_copy(update={"rollout_reuse": 3}).settled(10)
    assert settings.settled(10).num_steps == 5
    assert (reused.num_steps, reused.warmup_steps) == (15, 8)
    assert [reused.rows_by(step) for step in (1, 3, 4, 15)] == [4, 4, 8, 20]
