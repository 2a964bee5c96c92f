"""The demonstration's end: numbers before and after, and what proves them."""

from __future__ import annotations

import pytest

from OnPolicyDistill.cli.demo import print_story
from OnPolicyDistill.demo.story import CacheNumbers, DemoResult, StudentNumbers, TeacherNumbers

RESULT = DemoResult(
    run_id="distill_1",
    seconds=150,
    train_seconds=100,
    student_path="/data/models/tiny-student",
    teacher_path="/data/models/tiny-teacher",
    adapter_path="/runs/distill_1/checkpoints/000100",
    before=StudentNumbers(accuracy=0.4, reverse_kl=1.0, agreement=0.7),
    after=StudentNumbers(accuracy=0.9, reverse_kl=0.125, agreement=0.95),
    teacher=TeacherNumbers(accuracy=0.97),
    cache=CacheNumbers(run_id="distill_2", cold_teacher_share=0.3, warm_teacher_share=0.01),
    proof_passed=True,
)


def test_before_and_after_stand_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    print_story(RESULT)
    lines = capsys.readouterr().out.splitlines()
    (accuracy,) = [line for line in lines if line.startswith("task accuracy")]
    assert accuracy.split() == ["task", "accuracy", "40.0", "%", "90.0", "%", "97.0", "%"]
    (distance,) = [line for line in lines if line.startswith("reverse KL")]
    assert distance.split()[-2:] == ["1.0000", "0.1250"]
    assert "Reverse KL fell by 87.5 % in 100 s of training." in lines
    assert "Proof of learning: passed." in lines
    assert "Adapter: /runs/distill_1/checkpoints/000100" in lines
