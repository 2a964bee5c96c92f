"""Plan and check of a run that learns from groups of completions: counted by rows, not prompts."""

import json

import pytest

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.plan import plan_run

PLANNED = {"model": "qwen2.5-7b", "batch_size": 1, "gradient_accumulation_steps": 8}


def plan(memory_gb=128, **settings):
    return plan_run(parse_config({"grpo": PLANNED | settings}), memory_gb, "m3-ultra")


def test_a_step_takes_as_long_as_its_completions_are_many():
    few, many = plan(num_completions=4), plan(num_completions=16)
    assert many.step.sampling > 2 * few.step.sampling
    assert many.step.learning == pytest.approx(4 * few.step.learning, rel=0.1)


def test_a_micro_batch_holds_every_completion_of_its_prompts():
    few, many = plan(num_completions=4), plan(num_completions=16)
    assert many.needed_gb > few.needed_gb
    assert few.parts["teacher"] == many.parts["teacher"] == 0


def test_updates_and_a_reference_cost_what_they_repeat():
    once, thrice = plan(), plan(num_iterations=3)
    assert thrice.step.learning == pytest.approx(3 * once.step.learning)
    assert once.step.scoring == 0
    assert plan(beta=0.1).step.scoring > 0


def test_what_does_not_fit_is_told_what_would():
    found = plan(64, num_completions=64, batch_size=4, grad_checkpoint=False)
    assert found.verdict == "does_not_fit"
    (offer,) = found.advice
    assert {"grad_checkpoint", "batch_size", "num_completions"} <= offer.changes.keys()
    values = {"num_completions": 64, "batch_size": 4, "grad_checkpoint": False, **offer.changes}
    again = plan(64, **values)
    assert again.verdict == offer.verdict != "does_not_fit"
    assert again.needed_gb == pytest.approx(offer.needed_gb, abs=0.1)


@pytest.fixture
def settings(model_folder, tmp_path):
    """A run with nothing to complain about."""
    for name, count in (("train", 30), ("held", 25)):
        lines = [
            json.dumps({"prompt": f"{name}: what is {number} + 1?", "answer": str(number + 1)})
            for number in range(count)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return {
        "model": str(model_folder("s")),
        "prompts": str(tmp_path / "train.jsonl"),
        "validation_prompts": str(tmp_path / "held.jsonl"),
    }


def found(settings, tmp_path, **changes):
    values = {key: value for key, value in (settings | changes).items() if value is not None}
    report = check_run(parse_config({"grpo": values}), tmp_path / "runs")
    return [(finding.severity, finding.code, finding.field) for finding in report.findings]


def test_a_good_run_has_nothing_to_complain_about(settings, tmp_path):
    assert found(settings, tmp_path) == []


def test_prompts_that_cannot_be_graded_are_found_before_the_run(settings, tmp_path):
    bare = tmp_path / "bare.jsonl"
    bare.write_text("\n".join(json.dumps({"prompt": f"say {n}"}) for n in range(25)))
    assert found(settings, tmp_path, prompts=str(bare), validation_prompts=str(bare)) == [
        ("error", "leaked", "grpo.validation_prompts"),
        ("error", "no_answers", "grpo.prompts"),
        ("error", "no_answers", "grpo.validation_prompts"),
    ]
    some = tmp_path / "some.jsonl"
    lines = [{"prompt": f"say {n}", **({"answer": "a"} if n else {})} for n in range(25)]
    some.write_text("\n".join(map(json.dumps, lines)))
    assert found(settings, tmp_path, prompts=str(some)) == [
        ("warning", "few_answers", "grpo.prompts")
    ]


def test_a_users_reward_is_looked_for_and_not_run(settings, tmp_path):
    rewards = [{"kind": "python", "file": str(tmp_path / "mine.py")}]
    assert found(settings, tmp_path, rewards=rewards) == [
        ("error", "no_file", "grpo.rewards.0.file")
    ]
    (tmp_path / "mine.py").write_text("raise SystemExit('this file was run')\n")
    assert found(settings, tmp_path, rewards=rewards) == []


def test_missing_files_are_told_with_their_settings(settings, tmp_path):
    assert found(settings, tmp_path, prompts=None, validation_prompts=None) == [
        ("error", "no_file", "grpo.prompts"),
        ("error", "no_file", "grpo.validation_prompts"),
    ]
