"""The demonstration of GRPO: what it promises is what it measures."""

from pathlib import Path

import pytest

from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.demo.reward_story import reward_demo_config, run_reward_demo, write_unseen
from OnPolicyDistill.runs.annotations import is_archived
from OnPolicyDistill.runs.directory import list_runs


def test_the_dates_it_measures_on_are_in_no_shipped_file(tmp_path: Path) -> None:
    settings = reward_demo_config().grpo
    unseen = {prompt.text for prompt in load_prompts(write_unseen(tmp_path)).prompts}
    assert len(unseen) == 300
    for file in (settings.prompts, settings.validation_prompts):
        shipped = {prompt.text for prompt in load_prompts(Path(str(file))).prompts}
        assert not unseen & shipped


def test_a_short_demonstration_learns_from_rewards_alone(tmp_path: Path) -> None:
    changes = {
        "num_steps": 12,
        "eval_every": 12,
        "checkpoint_every": 12,
        "eval_prompts": 100,
        "warmup_steps": 2,
    }
    result = run_reward_demo(tmp_path, changes=changes)
    gain = result.after.accuracy - result.before.accuracy
    assert gain > 0.1
    assert result.shuffled_control_accuracy - result.before.accuracy < gain / 2
    control, story = list_runs(tmp_path)
    assert (story.run_id, control.run_id) == (result.run_id, result.control_run_id)
    assert (is_archived(story), is_archived(control)) == (False, True), "the story is the latest"


@pytest.mark.demonstration
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_seed_gains_by_rewards_and_not_by_training(tmp_path: Path, seed: int) -> None:
    result = run_reward_demo(tmp_path, changes={"seed": seed})
    gain = result.after.accuracy - result.before.accuracy
    assert gain >= 0.2
    assert result.shuffled_control_accuracy - result.before.accuracy <= gain / 3
    assert result.reward_last > result.reward_first
    low, high = result.after.accuracy_interval
    assert result.before.accuracy_interval[1] < low < result.after.accuracy < high
