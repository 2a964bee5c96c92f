"""The demonstration of prompt distillation, whole: what it promises is what it measures."""

from pathlib import Path

import pytest

from OnPolicyDistill.demo.prompt_story import prompt_demo_config, run_prompt_demo
from OnPolicyDistill.runs.directory import find_run


def test_the_preset_names_files_that_are_there() -> None:
    settings = prompt_demo_config().prompt_distillation
    for file in (settings.teacher_prompt, settings.inputs, settings.validation_inputs):
        assert Path(str(file)).is_file()


def test_a_short_demonstration_teaches_without_the_prompt(tmp_path: Path) -> None:
    changes = {
        "max_inputs": 48,
        "eval_inputs": 20,
        "num_steps": 20,
        "warmup_steps": 4,
        "eval_every": 12,
        "checkpoint_every": 12,
    }
    result = run_prompt_demo(tmp_path, changes=changes)
    teacher, before, after = (
        result.teacher_with_prompt,
        result.student_before,
        result.student_after,
    )
    assert teacher.accuracy > 0.5
    assert before.accuracy < 0.2
    assert after.parse_rate > before.parse_rate + 0.5
    assert after.accuracy > before.accuracy + 0.2
    assert teacher.tokens_per_answer >= 5 * after.tokens_per_answer
    assert (find_run(tmp_path, result.run_id).path / "generated" / "rejects.jsonl").is_file()


@pytest.mark.demonstration
def test_a_student_without_the_prompt_ends_like_the_teacher_with_it(tmp_path: Path) -> None:
    result = run_prompt_demo(tmp_path)
    teacher, after = result.teacher_with_prompt, result.student_after
    # Over 130 items the paired 95 % interval of this difference is 7 points to either side.
    assert after.accuracy >= teacher.accuracy - 0.13
    assert after.accuracy > result.student_with_prompt.accuracy + 0.15
    assert result.student_before.accuracy < 0.1
    assert result.student_with_prompt.accuracy < teacher.accuracy - 0.1
    assert after.parse_rate > 0.98
    assert teacher.tokens_per_answer >= 5 * after.tokens_per_answer
    assert result.speed_up >= 10  # a ratio within one run, 20 and more where it was measured
    assert (find_run(tmp_path, result.run_id).path / "generated" / "rejects.jsonl").is_file()
