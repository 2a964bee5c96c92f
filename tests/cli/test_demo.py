"""The demonstration's end: numbers before and after, and what proves them."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from OnPolicyDistill.cli.demo import print_rewarded, print_story, print_variants, print_vlm_story
from OnPolicyDistill.cli.demo_run import print_next
from OnPolicyDistill.cli.demo_surgery import print_surgery_story
from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.demo.prompt_story import PromptDemoResult, VariantNumbers
from OnPolicyDistill.demo.reward_story import AccuracyNumbers, RewardDemoResult
from OnPolicyDistill.demo.squares_story import ControlNumbers, Controls, VlmDemoResult
from OnPolicyDistill.demo.story import CacheNumbers, DemoResult, StudentNumbers, TeacherNumbers
from OnPolicyDistill.demo.surgery_story import SurgeryDemoResult
from OnPolicyDistill.runs.directory import create_run
from OnPolicyDistill.settings.distillation import DistillationSettings

if TYPE_CHECKING:
    from tests.cli.conftest import Opd

RESULT = DemoResult(
    run_id="distill_1",
    seconds=150,
    train_seconds=100,
    student_path="/data/models/tiny-student",
    teacher_path="/data/models/tiny-teacher",
    adapter_path="/runs/distill_1/checkpoints/000100",
    before=StudentNumbers(
        accuracy=0.4,
        accuracy_interval=(0.31, 0.5),
        reverse_kl=1.0,
        reverse_kl_interval=(0.8, 1.2),
        agreement=0.7,
        agreement_interval=(0.65, 0.75),
    ),
    after=StudentNumbers(
        accuracy=0.9,
        accuracy_interval=(0.83, 0.94),
        reverse_kl=0.125,
        reverse_kl_interval=(0.064, 0.177),
        agreement=0.95,
        agreement_interval=(0.93, 0.97),
    ),
    teacher=TeacherNumbers(accuracy=0.97, accuracy_interval=(0.92, 0.99)),
    cache=CacheNumbers(run_id="distill_2", cold_teacher_share=0.3, warm_teacher_share=0.01),
    proof_passed=True,
)


def test_the_first_success_says_what_to_type_next(
    opd: Opd, workspace: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = DistillationSettings(run_name="demo: dates")
    run = create_run(workspace, OnPolicyConfig(distillation=settings))
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/opd"])
    monkeypatch.setenv("PATH", "/nowhere")
    print_next(run)
    said = capsys.readouterr().err
    typed = [shlex.split(line)[1:] for line in said.splitlines() if line.startswith("  opd ")]
    assert [words[0] for words in typed] == ["generate", "export", "serve", "check"]
    assert typed[0][1:3] == ["--run", "demo: dates"]
    assert opd("runs", "show", typed[1][1]).exit_code == 0
    assert 'export PATH="/somewhere/bin:$PATH"' in said
    monkeypatch.setattr(shutil, "which", lambda _: "/somewhere/bin/opd")
    print_next(run)
    assert "PATH" not in capsys.readouterr().err


def test_before_and_after_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    print_story(RESULT)
    lines = capsys.readouterr().out.splitlines()
    (accuracy,) = [line for line in lines if line.startswith("task accuracy")]
    assert accuracy.split() == ["task", "accuracy", "40.0", "%", "90.0", "%", "97.0", "%"]
    (distance,) = [line for line in lines if line.startswith("reverse KL")]
    assert distance.split()[-2:] == ["1.0000", "0.1250"]
    assert re.split(" {2,}", lines[lines.index(accuracy) + 1].strip()) == [
        "31.0 to 50.0 %",
        "83.0 to 94.0 %",
        "92.0 to 99.0 %",
    ]
    assert "0.0640 to 0.1770" in lines[lines.index(distance) + 1]
    assert "Reverse KL fell by 87.5 % in 100 s of training." in lines
    assert "Proof of learning: passed." in lines
    assert "Adapter that is exported: /runs/distill_1/checkpoints/000100" in lines


def test_four_ways_to_answer_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    slow = VariantNumbers(
        accuracy=0.9, macro_f1=0.85, parse_rate=1, seconds_per_answer=0.2, tokens_per_answer=40
    )
    quick = slow.model_copy(update={"seconds_per_answer": 0.01, "tokens_per_answer": 2})
    print_variants(
        PromptDemoResult(
            run_id="prompt_1",
            seconds=170,
            teacher_with_prompt=slow,
            student_with_prompt=slow,
            student_before=slow,
            student_after=quick,
        )
    )
    lines = capsys.readouterr().out.splitlines()
    (after,) = [line for line in lines if line.startswith("student after")]
    assert after.split() == [
        "student",
        "after",
        "90.0",
        "%",
        "85.0",
        "%",
        "100.0",
        "%",
        "2.0",
        "10.0",
    ]
    assert "answers 20 times faster" in lines[-1]


def test_what_rewards_gain_stands_beside_what_shuffled_ones_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_rewarded(
        RewardDemoResult(
            run_id="grpo_1",
            seconds=60,
            train_seconds=25,
            before=AccuracyNumbers(accuracy=0.45, accuracy_interval=(0.39, 0.51)),
            after=AccuracyNumbers(accuracy=0.8, accuracy_interval=(0.75, 0.84)),
            reward_first=0.4,
            reward_last=0.75,
            control_run_id="grpo_2",
            shuffled_control_accuracy=0.44,
        )
    )
    lines = capsys.readouterr().out.splitlines()
    (accuracy,) = [line for line in lines if line.startswith("accuracy")]
    assert accuracy.split() == ["accuracy", "45.0", "%", "80.0", "%", "44.0", "%"]
    assert "39.0 to 51.0 %" in lines[lines.index(accuracy) + 1]
    assert any("rose from 0.40 to 0.75 in 25 s" in line for line in lines)


def test_a_story_with_pictures_has_both_controls_and_names_its_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = RESULT.model_dump(exclude={"cache"})
    figures["teacher"] |= {"reverse_kl": 1e-7, "agreement": 1.0}
    control = ControlNumbers(accuracy=0.15, accuracy_interval=(0.09, 0.23))
    blank = control.model_copy(update={"accuracy": 0.125})
    controls = Controls(blank=blank, shuffled=control)
    page = "/runs/vlm_1/pictures.html"
    print_vlm_story(VlmDemoResult(**figures, page_path=page, controls=controls))
    lines = capsys.readouterr().out.splitlines()
    cells = {fields[0]: fields[1:] for fields in (re.split(" {2,}", line) for line in lines)}
    assert cells["right"] == [
        "40.0 % (31.0 to 50.0)",
        "90.0 % (83.0 to 94.0)",
        "97.0 % (92.0 to 99.0)",
    ]
    assert cells["right with a blank picture"][0] == "12.5 % (9.0 to 23.0)"
    assert cells["right with another prompt's picture"][0] == "15.0 % (9.0 to 23.0)"
    assert "Reverse KL fell by 87.5 % in 100 s of training." in lines
    assert f"Pictures with the answers to them: {page}" in lines


def test_surgery_says_how_questions_are_answered_and_what_stayed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = SurgeryDemoResult(
        run_id="projector_1",
        seconds=60,
        train_seconds=40,
        vision_path="/data/models/tiny-looker",
        language_path="/data/models/tiny-reader",
        grafted_path="/runs/projector_1/grafted",
        page_path="/runs/projector_1/pictures.html",
        loss_before=1.25,
        loss_after=0.0125,
        num_asked=60,
        accuracy=0.95,
        accuracy_thinking=0.9,
        well_formed_thoughts=1.0,
        wrong_picture_accuracy=0.1,
        blank_picture_accuracy=0.05,
        language_model_unchanged=True,
        vision_tower_unchanged=True,
        proof_passed=True,
    )
    print_surgery_story(result)
    lines = capsys.readouterr().out.splitlines()
    cells = dict(re.split(" {2,}", line) for line in lines if " %" in line)
    assert cells["right without thinking"] == "95.0 %"
    assert cells["right with thinking"] == "90.0 %"
    assert cells["right with another question's picture"] == "10.0 %"
    assert any(line.endswith("tower are the same to the byte.") for line in lines)
    assert "The grafted model: /runs/projector_1/grafted" in lines
    print_surgery_story(result.model_copy(update={"language_model_unchanged": False}))
    assert "CHANGED" in capsys.readouterr().out
