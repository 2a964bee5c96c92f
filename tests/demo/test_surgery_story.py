"""The demonstration of surgery, short and whole: what it promises is what it measures."""

from pathlib import Path

import pytest

from OnPolicyDistill.demo.surgery_story import run_surgery_demo, surgery_demo_config
from OnPolicyDistill.runs.directory import find_run
from OnPolicyDistill.trainers.projector.asking import read_answers


def test_the_preset_names_files_that_are_there() -> None:
    settings = surgery_demo_config().projector
    for file in (settings.conversations, settings.validation_conversations):
        assert Path(str(file)).is_file()


def test_a_short_demonstration_learns_to_see_and_shows_its_pictures(tmp_path: Path) -> None:
    changes = {
        "num_steps": 40,
        "eval_every": 40,
        "checkpoint_every": 40,
        "eval_conversations": 24,
        "thinking_prompts": 24,
    }
    result = run_surgery_demo(tmp_path, changes=changes)
    assert result.proof_passed
    assert result.language_model_unchanged
    assert result.vision_tower_unchanged
    assert result.loss_after < 0.5 * result.loss_before
    assert result.accuracy > result.wrong_picture_accuracy
    assert result.num_asked == 24
    page = Path(result.page_path).read_text(encoding="utf-8")
    asked = read_answers(find_run(tmp_path, result.run_id), "plain").answers
    assert page.count("data:image/png;base64,") == len({one.wanted for one in asked})
    assert len({one.wanted for one in asked}) > 4  # of the eight kinds, each once
    assert "with another picture" in page
    assert (Path(result.grafted_path) / "config.json").is_file()


@pytest.mark.demonstration
def test_a_model_that_has_only_read_comes_to_see(tmp_path: Path) -> None:
    result = run_surgery_demo(tmp_path)
    assert result.proof_passed
    assert result.language_model_unchanged
    assert result.vision_tower_unchanged
    assert result.loss_after < 0.1 * result.loss_before
    assert result.accuracy >= 0.8
    assert result.accuracy_thinking >= 0.7
    assert result.well_formed_thoughts >= 0.9
    assert result.wrong_picture_accuracy < 0.3
    assert result.blank_picture_accuracy < 0.3
