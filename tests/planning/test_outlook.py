"""Outlooks say what plans say, for many runs at once."""

from pathlib import Path

import pytest

from OnPolicyDistill.config import BLOCK_OF_METHOD, parse_config
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.planning.choices import forecast_choices
from OnPolicyDistill.planning.outlook import best_look, look, survey
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.presets import preset_files, read_preset

PAIR = {"teacher_model": "qwen2.5-7b", "student_model": "qwen2.5-0.5b"}


def config(**settings):
    return parse_config({"distillation": {**PAIR, **settings}})


@pytest.mark.parametrize("name", preset_files())
def test_an_outlook_is_the_plan_of_the_same_run(name):
    run = parse_config(read_preset(Path(name)))
    plan, found = plan_run(run, 64, "m3-max"), look(run, survey(run, 64, "m3-max"))
    assert (found.verdict, found.needed_gb) == (plan.verdict, plan.needed_gb)
    if plan.verdict == "does_not_fit":
        assert (found.step_seconds, found.seconds) == (None, None)
    else:
        assert (found.step_seconds, found.seconds) == (plan.step.total, plan.seconds)


def test_on_this_machine_an_outlook_is_the_plan_as_well():
    run = config(teacher_model="tiny-teacher", student_model="tiny-student")
    plan, found = plan_run(run), look(run, survey(run))
    assert (found.verdict, found.seconds) == (plan.verdict, plan.seconds)


def test_a_run_that_does_not_fit_is_looked_at_with_what_saves_memory():
    run = config(grad_checkpoint=False, batch_size=8, gradient_accumulation_steps=2)
    assert look(run, survey(run, 32, "m3-max")).verdict == "does_not_fit"
    found = best_look(run, survey(run, 32, "m3-max"))
    assert found.changes["grad_checkpoint"] is True
    assert found.verdict != "does_not_fit"
    changed = {**PAIR, "batch_size": 8, "gradient_accumulation_steps": 2, **found.changes}
    plan = plan_run(parse_config({"distillation": changed}), 32, "m3-max")
    assert (plan.verdict, plan.seconds) == (found.verdict, found.seconds)


def test_what_saves_memory_leaves_the_rows_of_a_step():
    run = config(batch_size=8, gradient_accumulation_steps=2)
    found = best_look(run, survey(run, 8, "m3-max"))
    assert found.changes == {"batch_size": 1, "gradient_accumulation_steps": 16}
    assert best_look(run, survey(run, 512, "m3-max")).changes == {}


def test_an_evaluation_is_not_looked_at():
    with pytest.raises(InputError, match="trains nothing"):
        survey(parse_config({"method": "evaluation", "evaluation": {}}))


@pytest.mark.parametrize("role", ["teacher_model", "student_model"])
def test_each_choice_of_a_model_is_the_plan_with_it(role):
    names = ["qwen2.5-3b", "qwen2.5-14b-4bit", "nobody/nothing", "tiny-student"]
    found = forecast_choices(config(), role, names).choices
    assert [choice.name for choice in found] == names
    for choice in found:
        if choice.name == "nobody/nothing":
            assert choice.outlook is None
            assert "There is no model" in choice.problem
        else:
            plan = plan_run(config(**{role: choice.name}))
            assert (choice.outlook.verdict, choice.outlook.needed_gb) == (
                plan.verdict,
                plan.needed_gb,
            )


def test_a_place_that_is_wrong_now_can_still_be_filled():
    found = forecast_choices(config(student_model="nobody"), "student_model", ["qwen2.5-3b"])
    assert found.choices[0].outlook is not None


def test_every_method_with_models_has_choices_for_each_of_them():
    for name in (
        "sft/qwen2.5_1.5b",
        "grpo/default",
        "vision_surgery/demo",
        "vlm_distillation/demo",
    ):
        run = parse_config(read_preset(Path(name)))
        block = read_preset(Path(name))[BLOCK_OF_METHOD[run.method]]
        for key in ("model", "student_model", "teacher_model", "language_model"):
            if key in block:
                (found,) = forecast_choices(run, key, [block[key]]).choices
                assert found.outlook is not None, (name, key)
