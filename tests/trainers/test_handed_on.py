"""What one method learned is what another begins with, or teaches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.errors import ModelError, ProofError
from OnPolicyDistill.runs.checkpoints import pointed
from OnPolicyDistill.runs.directory import RunDirectory, create_run
from OnPolicyDistill.trainers import on_policy, sft
from OnPolicyDistill.trainers.grpo import train as grpo_train
from tests.trainers.conftest import Classroom
from tests.trainers.test_grpo import LETTERS
from tests.trainers.test_on_policy import evaluations, events

STUDENT = {"lora": {"rank": 4, "alpha": 8}, "grad_checkpoint": False, "learning_rate": 0.03}


def best_of(run: RunDirectory) -> str:
    best = pointed(run, "best") or pointed(run, "last")
    assert best is not None
    return str(best)


@pytest.fixture
def rewarded(classroom: Classroom) -> str:
    """The adapter of a GRPO run that learned to say more letters."""
    root = classroom.root
    (root / "mine.py").write_text(LETTERS, encoding="utf-8")
    values = {
        **STUDENT,
        "model": str(root / "student"),
        "prompts": str(root / "prompts.jsonl"),
        "validation_prompts": str(root / "validation.jsonl"),
        "rewards": [{"kind": "python", "file": str(root / "mine.py")}],
        "num_steps": 6,
        "batch_size": 2,
        "gradient_accumulation_steps": 1,
        "num_completions": 8,
        "max_generation_tokens": 8,
        "eval_every": 6,
    }
    run = create_run(root, parse_config({"grpo": values}))
    grpo_train.train(run)
    return best_of(run)


@pytest.fixture
def tuned(classroom: Classroom) -> str:
    """The adapter of a fine-tuning run of the student."""
    file = classroom.root / "conversations.jsonl"
    lines = [{"prompt": f"the {i} of March", "completion": f"03-{i}"} for i in range(6)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = str(classroom.root / "student")
    values = {**STUDENT, "model": model, "conversations": str(file), "num_steps": 8}
    run = create_run(classroom.root, parse_config({"sft": values}))
    sft.train(run)
    return best_of(run)


def test_a_student_of_rewards_teaches_its_own_base_model(
    classroom: Classroom, rewarded: str
) -> None:
    run = classroom.create(
        teacher_model=str(classroom.root / "student"),
        teacher_adapter=rewarded,
        num_steps=20,
        eval_every=20,
        ce_weight=0.0,
        temperature=1.0,
    )
    on_policy.train(run)
    measured = evaluations(run)
    assert measured[0]["eval_reverse_kl"] > 0.01
    assert measured[20]["eval_reverse_kl"] < 0.5 * measured[0]["eval_reverse_kl"]
    phases = [e.detail for e in events(run, "phase_changed") if e.phase == "loading"]
    assert any(rewarded in detail for detail in phases)


def test_a_teacher_that_is_unloaded_wears_its_adapter_while_it_scores(
    classroom: Classroom, rewarded: str
) -> None:
    values = {"teacher_model": str(classroom.root / "student"), "teacher_adapter": rewarded}
    fixed = {"fixed_rollouts": True, "num_steps": 2, "eval_every": 2}
    kept = classroom.create(**values, **fixed)
    gone = classroom.create(**values, **fixed, keep_teacher_loaded=False)
    for run in (kept, gone):
        on_policy.train(run)
    first, second = (
        {c.name: c.measured for e in events(run, "self_test_finished") for c in e.checks}
        for run in (kept, gone)
    )
    assert first["teacher_differs"] == pytest.approx(second["teacher_differs"], rel=1e-4)


def test_student_and_teacher_of_one_adapter_have_nothing_to_teach(
    classroom: Classroom, tuned: str
) -> None:
    run = classroom.create(
        teacher_model=str(classroom.root / "student"),
        teacher_adapter=tuned,
        student_adapter=tuned,
    )
    with pytest.raises(ProofError, match="different distributions"):
        on_policy.train(run)


def test_distillation_goes_on_from_a_fine_tuned_student(classroom: Classroom, tuned: str) -> None:
    plain, started = (
        classroom.create(student_adapter=start, num_steps=4, eval_every=4)
        for start in (None, tuned)
    )
    for run in (plain, started):
        on_policy.train(run)
    before = [evaluations(run)[0]["eval_reverse_kl"] for run in (plain, started)]
    assert before[0] != pytest.approx(before[1], rel=1e-3)
    assert evaluations(started)[4]["eval_reverse_kl"] < before[1]


def test_a_teachers_adapter_that_is_not_there_ends_the_run_in_words(
    classroom: Classroom, tmp_path: Path
) -> None:
    run = classroom.create(teacher_adapter=str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match="no adapter folder"):
        on_policy.train(run)
