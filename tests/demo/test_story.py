"""The demonstration, whole: what it promises is what it measures."""

from pathlib import Path

import pytest

from OnPolicyDistill.demo.story import run_demo
from OnPolicyDistill.runs.annotations import is_archived
from OnPolicyDistill.runs.directory import list_runs


def test_a_short_demonstration_nears_its_teacher(tmp_path: Path) -> None:
    changes = {"num_steps": 15, "eval_every": 15, "checkpoint_every": 15, "eval_prompts": 40}
    result = run_demo(tmp_path, changes=changes)
    assert result.proof_passed
    assert result.after.reverse_kl < 0.5 * result.before.reverse_kl
    assert result.after.agreement > result.before.agreement + 0.05
    assert result.teacher.accuracy > result.before.accuracy + 0.3
    assert result.cache.warm_teacher_share < 0.5 * result.cache.cold_teacher_share
    beside, story = list_runs(tmp_path)
    assert (story.run_id, beside.run_id) == (result.run_id, result.cache.run_id)
    assert (is_archived(story), is_archived(beside)) == (False, True), "the story is the latest"
    assert (Path(result.adapter_path) / "adapters.safetensors").is_file()


@pytest.mark.demonstration
def test_the_demonstration_keeps_its_promises(tmp_path: Path) -> None:
    result = run_demo(tmp_path)
    assert result.proof_passed
    assert result.after.reverse_kl < 0.2 * result.before.reverse_kl
    assert result.after.agreement >= 0.85
    way = result.teacher.accuracy - result.before.accuracy
    assert way > 0.3
    assert result.after.accuracy - result.before.accuracy > 0.6 * way
    assert result.cache.warm_teacher_share < 0.5 * result.cache.cold_teacher_share
    assert {run.run_id for run in list_runs(tmp_path)} == {result.run_id, result.cache.run_id}
    for numbers in (result.before, result.after):
        low, high = numbers.reverse_kl_interval
        assert low < numbers.reverse_kl < high
        low, high = numbers.accuracy_interval
        assert low <= numbers.accuracy <= high
    assert result.after.reverse_kl_interval[1] < result.before.reverse_kl_interval[0]
    assert (Path(result.adapter_path) / "adapters.safetensors").is_file()
