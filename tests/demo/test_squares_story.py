"""The demonstration with pictures, whole: what it promises is what it measures."""

from pathlib import Path

import pytest

from OnPolicyDistill.demo.squares_story import run_vlm_demo, vlm_demo_config


def test_the_preset_names_files_that_are_there() -> None:
    settings = vlm_demo_config().vlm_distillation
    for file in (settings.prompts, settings.validation_prompts):
        assert Path(str(file)).is_file()


def test_a_short_demonstration_teaches_to_compute_and_shows_its_pictures(tmp_path: Path) -> None:
    changes = {
        "num_steps": 12,
        "warmup_steps": 2,
        "eval_every": 12,
        "checkpoint_every": 12,
        "eval_prompts": 50,
        "control_prompts": 30,
    }
    result = run_vlm_demo(tmp_path, changes=changes)
    assert result.proof_passed
    assert result.teacher.accuracy > result.before.accuracy + 0.2
    # Scored by itself: what rounding leaves, far below any student.
    assert abs(result.teacher.reverse_kl) < 1e-4 < result.after.reverse_kl
    assert result.teacher.agreement == 1.0
    assert result.after.accuracy > result.before.accuracy + 0.2
    assert result.after.reverse_kl < 0.8 * result.before.reverse_kl
    assert max(result.controls.blank.accuracy, result.controls.shuffled.accuracy) <= 0.4
    page = Path(result.page_path).read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 7  # every kind of question once
    assert page.count("boxed{") >= 3 * 7


@pytest.mark.demonstration
def test_a_student_that_sees_learns_to_compute(tmp_path: Path) -> None:
    result = run_vlm_demo(tmp_path)
    before, after, teacher = result.before, result.after, result.teacher
    assert result.proof_passed
    assert after.accuracy >= before.accuracy + 0.2
    assert after.accuracy - before.accuracy > 0.5 * (teacher.accuracy - before.accuracy)
    assert after.accuracy_interval[0] > before.accuracy_interval[1]
    assert after.reverse_kl < 0.5 * before.reverse_kl
    assert result.controls.blank.accuracy <= 0.3
    assert result.controls.shuffled.accuracy <= 0.3
    assert (Path(result.adapter_path) / "adapters.safetensors").is_file()
