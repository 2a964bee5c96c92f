"""Plans and checks of the methods in which a model answers a list of inputs."""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.config import parse_config
from OnPolicyDistill.planning.answering import answering_stages, measure_inputs
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.plan import plan_run

REFERENCE = {
    "teacher_model": "qwen2.5-7b",
    "student_model": "qwen2.5-1.5b",
    "num_samples": 2,
}


def test_more_answers_of_the_teacher_take_proportionally_longer() -> None:
    once = answering_stages(parse_config({"prompt_distillation": {**REFERENCE, "num_samples": 1}}))
    twice = answering_stages(parse_config({"prompt_distillation": REFERENCE}))
    assert [stage.name for stage in twice] == ["generating", "evaluating"]
    assert twice[0].num_answers == 2 * once[0].num_answers
    assert twice[0].work.student.name == "qwen2.5-7b"


def test_answers_of_another_run_cost_nothing() -> None:
    config = parse_config({"prompt_distillation": {**REFERENCE, "generated_from": "prompt_1"}})
    assert answering_stages(config)[0].num_answers == 0


def test_the_plan_of_prompt_distillation_names_all_of_its_stages() -> None:
    plan = plan_run(parse_config({"prompt_distillation": REFERENCE}), 128, "M4 Max")
    assert [phase.name for phase in plan.phases] == ["generating", "evaluating", "learning"]
    assert plan.phases[0].total_gb > plan.phases[2].parts["student"]
    assert plan.teacher is None


def test_the_plan_says_how_long_each_answering_stage_takes() -> None:
    plan = plan_run(parse_config({"prompt_distillation": REFERENCE}), 128, "M4 Max")
    assert [stage.name for stage in plan.stages] == ["generating", "evaluating"]
    assert sum(stage.seconds for stage in plan.stages) < plan.preparing_seconds < plan.seconds
    assert plan_run(parse_config({"distillation": {}}), 128, "M4 Max").stages == ()


def test_advice_changes_only_settings_that_the_method_has() -> None:
    values = {**REFERENCE, "training": "on_policy", "num_samples": 1, "batch_size": 4}
    values |= {"teacher_model": "qwen2.5-0.5b", "student_model": "qwen2.5-7b"}
    values |= {"gradient_accumulation_steps": 1, "grad_checkpoint": False}
    advice = plan_run(parse_config({"prompt_distillation": values}), 32, "M4 Max").advice
    assert {"max_answer_tokens": 16} in [each.changes for each in advice]
    for each in advice:
        parse_config({"prompt_distillation": {**values, **each.changes}})


def test_nothing_is_offered_where_a_stage_that_only_answers_needs_too_much() -> None:
    values = {**REFERENCE, "training": "on_policy", "num_samples": 1, "batch_size": 64}
    plan = plan_run(parse_config({"prompt_distillation": values}), 32, "M4 Max")
    assert (plan.verdict, plan.peak_phase) == ("does_not_fit", "generating")
    assert plan.advice == ()


def test_self_distillation_holds_its_weights_once() -> None:
    values = {**REFERENCE, "training": "on_policy", "num_samples": 1}
    two = plan_run(parse_config({"prompt_distillation": values}), 128, "M4 Max")
    same = {**values, "teacher_model": "qwen2.5-1.5b"}
    one = plan_run(parse_config({"prompt_distillation": same}), 128, "M4 Max")
    assert two.teacher is not None
    assert two.teacher.weights_gb > 0
    assert one.teacher is not None
    assert one.teacher.weights_gb == 0


def test_an_evaluation_is_planned_by_its_variants() -> None:
    values = {
        "variants": [
            {"name": "small", "model": "qwen2.5-1.5b"},
            {"name": "large", "model": "qwen2.5-7b"},
        ]
    }
    plan = plan_run(parse_config({"evaluation": values}), 128, "M4 Max")
    assert [phase.name for phase in plan.phases] == ["small", "large"]
    assert plan.peak_phase == "large"
    assert plan.num_steps == 2


def test_a_check_names_every_file_that_is_missing(tmp_path: Path) -> None:
    report = check_run(parse_config({"prompt_distillation": REFERENCE}), tmp_path)
    fields = {finding.field for finding in report.findings if finding.code == "no_file"}
    block = "prompt_distillation"
    assert fields == {f"{block}.{k}" for k in ("teacher_prompt", "inputs", "validation_inputs")}


def test_a_check_refuses_an_evaluation_without_variants(tmp_path: Path) -> None:
    report = check_run(parse_config({"evaluation": {}}), tmp_path)
    assert "no_variants" in {finding.code for finding in report.findings}


def test_inputs_are_estimated_from_their_characters(tmp_path: Path) -> None:
    file = tmp_path / "inputs.txt"
    file.write_text("a" * 40 + "\n\n" + "b" * 80 + "\n", encoding="utf-8")
    facts = measure_inputs(str(file))
    assert facts.num_prompts == 2
    assert (facts.typical_tokens, facts.longest_tokens) == (47, 52)


def test_a_check_names_the_line_of_items_that_cannot_be_evaluated(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    items.write_text('text,label\ngood day,en\n"left open')
    variants = [{"name": "one", "model": "qwen2.5-0.5b-instruct"}]
    config = parse_config({"evaluation": {"inputs": str(items), "variants": variants}})
    findings = check_run(config, tmp_path).findings
    wrong = [finding for finding in findings if finding.field == "evaluation.inputs"]
    assert [finding.severity for finding in wrong] == ["error"]
    assert f"{items}, line 3" in wrong[0].message


def test_a_model_may_teach_itself_with_a_prompt(tmp_path: Path) -> None:
    models = {"teacher_model": "tiny-answerer", "student_model": "tiny-answerer"}
    config = parse_config({"prompt_distillation": {**models, "training": "on_policy"}})
    assert "same_model" not in {finding.code for finding in check_run(config, tmp_path).findings}
    plain = parse_config({"distillation": models})
    assert "same_model" in {finding.code for finding in check_run(plain, tmp_path).findings}


def test_free_answers_in_place_of_labels_are_a_warning(tmp_path: Path) -> None:
    variants = [{"name": "one", "model": "tiny-answerer"}]

    def codes(labels: list[str]) -> set[str]:
        items = tmp_path / "items.csv"
        items.write_text("\n".join(["text,label", *(f"x{n},{a}" for n, a in enumerate(labels))]))
        config = parse_config({"evaluation": {"inputs": str(items), "variants": variants}})
        return {finding.code for finding in check_run(config, tmp_path).findings}

    assert "free_answers" in codes([f"the {n} of May" for n in range(40)])
    assert "free_answers" not in codes([f"label {n % 40}" for n in range(100)])
