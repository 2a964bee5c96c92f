"""Plans: memory and time by forecast, against the figures they were fitted to, and the advice."""

from pathlib import Path

import pytest

from OnPolicyDistill.config import BLOCK_OF_METHOD, load_config, parse_config
from OnPolicyDistill.errors import DatasetError, InputError, ModelError
from OnPolicyDistill.files import shipped_folder
from OnPolicyDistill.planning import plan as plans
from OnPolicyDistill.planning.advice import NOTHING_HELPS
from OnPolicyDistill.planning.chips import find_chip, this_chip
from OnPolicyDistill.planning.memory import PARTS
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.planning.speeds import METAL
from OnPolicyDistill.presets import read_preset

CONFIGS = shipped_folder("configs")

RECOMPUTING = {"grad_checkpoint": True}
KEEPING = {"grad_checkpoint": False}


def plan(memory_gb=128, chip="m3-ultra", **settings):
    return plan_run(parse_config({"distillation": settings}), memory_gb, chip)


def test_the_seed_pair_fits_in_128_gb_when_activations_are_recomputed():
    found = plan(**RECOMPUTING)
    assert found.verdict == "fits"
    assert found.parts["teacher"] == pytest.approx(65.53, abs=0.01)
    assert found.parts["student"] == pytest.approx(15.23, abs=0.01)
    assert found.limit_gb == pytest.approx(107.5 * 2**30 / 1e9, abs=0.1)
    assert 85 < found.needed_gb < 105
    assert found.total_gb < 128


def test_keeping_every_activation_of_the_seed_pair_does_not_fit_and_the_advice_says_what_does():
    found = plan(**KEEPING)
    assert found.verdict == "does_not_fit"
    assert found.peak_phase == "learning"
    helps = {next(iter(advice.changes)): advice.verdict for advice in found.advice}
    assert helps["grad_checkpoint"] == helps["batch_size"] == "fits"
    assert "may use" in found.warnings[0]


@pytest.mark.parametrize("memory_gb", [48, 64, 96, 128])
def test_what_is_offered_fits_and_saves(memory_gb):
    found = plan(memory_gb, **KEEPING)
    assert found.advice
    for offer in found.advice:
        again = plan(memory_gb, **{**KEEPING, **offer.changes})
        assert again.verdict == offer.verdict != "does_not_fit"
        assert again.needed_gb == pytest.approx(offer.needed_gb, abs=0.1)


def test_where_no_change_is_enough_alone_several_are_offered_together():
    (offer,) = plan(48, **KEEPING).advice
    assert {"teacher_model", "grad_checkpoint"} <= offer.changes.keys()


def test_where_nothing_is_enough_nothing_is_offered_and_the_plan_says_so():
    found = plan(8, **KEEPING)
    assert found.advice == ()
    assert "No change of these settings" in found.warnings[-1]


@pytest.mark.parametrize("memory_gb", [16, 32, 64, 96])
def test_smaller_macs_are_told_that_the_seed_pair_does_not_fit(memory_gb):
    assert plan(memory_gb, **RECOMPUTING).verdict == "does_not_fit"


def test_parts_add_up_and_the_peak_is_the_largest_phase():
    found = plan(**RECOMPUTING)
    assert set(found.parts) == {*PARTS, "system_reserve"}
    assert sum(found.parts.values()) == pytest.approx(found.total_gb, abs=0.06)
    assert found.total_gb - found.parts["system_reserve"] == pytest.approx(
        found.needed_gb, abs=0.02
    )
    assert found.needed_gb == max(phase.total_gb for phase in found.phases)
    for phase in found.phases:
        assert sum(phase.parts.values()) == pytest.approx(phase.total_gb, abs=0.06)


def test_phases_do_not_hold_at_once_what_they_need_in_turn():
    phases = {phase.name: phase.parts for phase in plan(**RECOMPUTING).phases}
    assert phases["learning"]["kv_cache"] == phases["scoring"]["kv_cache"] == 0
    assert phases["sampling"]["kv_cache"] > 0
    assert phases["sampling"]["activations"] < phases["learning"]["activations"]


def test_a_teacher_that_is_unloaded_never_stands_beside_the_student():
    found = plan(keep_teacher_loaded=False, teacher_cache_size_mb=6000, **RECOMPUTING)
    phases = {phase.name: phase.parts for phase in found.phases}
    assert phases["sampling"]["teacher"] == 0
    assert phases["scoring"]["student"] == 0
    assert phases["learning"]["teacher"] == pytest.approx(1.56, abs=0.01)
    assert found.needed_gb < plan(**RECOMPUTING).needed_gb - 15
    assert found.peak_phase == "scoring"
    assert found.needed_gb == max(phase.total_gb for phase in found.phases)
    compact = plan(keep_teacher_loaded=False, teacher_targets="top_k", **RECOMPUTING)
    assert compact.phases[-1].parts["teacher"] == 0


def test_a_cache_too_small_for_all_scores_is_warned_of_before_the_run_is_refused():
    roomy = plan(keep_teacher_loaded=False, teacher_cache_size_mb=6000)
    small = plan(keep_teacher_loaded=False, teacher_cache_size_mb=1000)
    assert not any("cache" in warning for warning in roomy.warnings)
    assert any("the run will be refused" in warning for warning in small.warnings)
    again = plan(fixed_rollouts=True, teacher_cache_size_mb=1000)
    assert any("too small to help" in warning for warning in again.warnings)


def test_the_cache_is_compact_once_the_teacher_is_unloaded():
    assert plan().parts["teacher_cache"] == 0
    kept = plan(fixed_rollouts=True).phases[0].parts["teacher_cache"]
    assert kept == pytest.approx(4.096, abs=0.01)
    exact = plan(fixed_rollouts=True, teacher_cache_size_mb=100_000)
    loaded = plan(fixed_rollouts=True, teacher_targets="top_k", teacher_cache_size_mb=100_000)
    assert loaded.parts["teacher_cache"] == exact.parts["teacher_cache"]
    gone = {"keep_teacher_loaded": False, "teacher_cache_size_mb": 100_000}
    whole, compact = plan(**gone), plan(**gone, teacher_targets="top_k", top_k=64)
    assert exact.parts["teacher_cache"] == pytest.approx(1000 * 512 * 10_240 / 1e9, abs=0.01)
    share = compact.parts["teacher_cache"] / whole.parts["teacher_cache"]
    assert share == pytest.approx(400 / 10_240, rel=0.01)


@pytest.mark.parametrize(
    ("settings", "part"),
    [
        ({"batch_size": 2}, "activations"),
        ({"max_generation_tokens": 128}, "activations"),
        ({"grad_checkpoint": True}, "activations"),
        ({"student_model": "qwen2.5-7b-4bit"}, "student"),
        ({"teacher_model": "qwen2.5-32b-8bit"}, "teacher"),
        ({"lora": {"rank": 4}}, "lora_and_optimizer"),
        ({"lora": {"targets": ["q_proj"]}}, "lora_and_optimizer"),
        ({"lora": {"layers": 4}}, "lora_and_optimizer"),
    ],
)
def test_each_setting_that_should_save_memory_does(settings, part):
    assert plan(**settings).parts[part] < plan(**KEEPING).parts[part]


def test_adapters_are_counted_exactly():
    shapes = 3584 + 3584, 512 + 3584, 512 + 3584, 3584 + 3584, *[18944 + 3584] * 3
    assert plan().adapter_parameters == 28 * 16 * sum(shapes)


def test_recomputing_activations_costs_one_more_forward_pass_of_learning():
    ratio = plan(**RECOMPUTING).step.learning / plan(**KEEPING).step.learning
    passes = 1 + METAL.backward_passes
    assert ratio == pytest.approx((passes + 1) / passes, abs=0.03)


def test_an_adapter_in_half_of_the_layers_learns_in_less_time():
    half = plan(lora={"layers": 14}, **KEEPING).step.learning
    assert half < 0.7 * plan(**KEEPING).step.learning


def test_a_dense_teacher_is_told_what_is_several_times_faster():
    found = plan(chip="m5-max")
    assert found.step.steps_per_minute < 3
    assert any("mixture-of-experts" in warning for warning in found.warnings)
    fast = plan_run(load_config(CONFIGS / "fast_mac.yaml"), 128, "m5-max")
    assert fast.step.steps_per_minute > 3 * found.step.steps_per_minute
    assert not any("mixture-of-experts" in warning for warning in fast.warnings)


def test_the_whole_run_is_its_parts_and_the_range_holds_the_expectation():
    found = plan()
    steps = found.num_steps * found.step.total
    evaluations = found.num_evaluations * found.step.evaluation
    parts = steps + evaluations + found.preparing_seconds
    assert found.seconds == pytest.approx(parts, rel=0.001)
    assert found.seconds_low < found.seconds < found.seconds_high
    assert found.num_evaluations == 11


def test_kept_rollouts_are_sampled_and_scored_once():
    found = plan(fixed_rollouts=True, teacher_cache_size_mb=100_000)
    assert found.step.sampling == found.step.scoring == 0
    assert found.preparing_seconds > plan().preparing_seconds
    forgetful = plan(fixed_rollouts=True, teacher_cache_size_mb=10)
    assert forgetful.step.scoring > 0


def test_decoding_more_rows_at_once_costs_less_a_row():
    one, two = plan(gradient_accumulation_steps=1), plan(gradient_accumulation_steps=2)
    assert one.step.sampling < two.step.sampling < 1.2 * one.step.sampling
    assert two.step.learning == pytest.approx(2 * one.step.learning, rel=0.01)


def test_prompts_are_measured_where_a_file_is_named(tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "How many legs has a spider?"}\n' * 50)
    found = plan(prompts=str(file))
    assert found.step.total < plan().step.total
    assert any("50 prompts of" in text for text in found.assumptions)
    with pytest.raises(DatasetError, match="no such file"):
        plan(prompts=str(tmp_path / "none.jsonl"))


def test_models_on_disk_are_weighed_by_their_headers(model_folder):
    student, teacher = model_folder("s"), model_folder("t")
    found = plan(student_model=str(student), teacher_model=str(teacher))
    assert found.student.source == "disk"
    assert found.student.weights_gb == 0.0
    assert found.verdict == "fits"
    assert "tokenizer" not in found.assumptions[1]


def test_float32_weights_need_twice_the_memory_unless_they_are_packed():
    assert plan(mixed_precision=False).parts["student"] == pytest.approx(2 * 15.23, abs=0.02)
    packed = plan(mixed_precision=False, student_model="qwen2.5-7b-4bit")
    assert packed.parts["student"] == pytest.approx(4.28, abs=0.02)


def test_a_thinking_student_with_short_completions_is_warned_of():
    found = plan(student_model="qwen3-4b", teacher_model="qwen3-32b")
    assert any("thinks before it answers" in warning for warning in found.warnings)


def test_a_warm_up_that_the_run_ends_in_is_warned_of():
    assert any("never reaches" in line for line in plan(num_steps=20, warmup_steps=20).warnings)
    assert not any("never reaches" in line for line in plan(num_steps=20, warmup_steps=19).warnings)


def test_supervised_fine_tuning_is_planned_without_a_teacher():
    config = parse_config({"sft": {"model": "qwen2.5-1.5b", "grad_checkpoint": True}})
    found = plan_run(config, 64, "m4-max")
    assert found.teacher is None
    assert found.parts["teacher"] == found.step.sampling == found.step.scoring == 0
    assert found.verdict == "fits"


def test_epochs_are_planned_in_the_steps_that_follow_from_them():
    sft = {"num_epochs": 2, "batch_size": 4, "gradient_accumulation_steps": 2, "num_steps": 7}
    prompted = {**sft, "num_epochs": 3, "training": "sft"}
    assert plan_run(parse_config({"sft": sft}), 64, "m4-max").num_steps == 250
    assert plan_run(parse_config({"prompt_distillation": prompted}), 128).num_steps == 375
    assert plan_run(parse_config({"distillation": sft}), 128, "m4-max").num_steps == 250


def test_conversations_are_counted_and_measured_where_a_file_is_named(tmp_path):
    file = tmp_path / "conversations.jsonl"
    line = '{"prompt": "%s", "completion": "b"}\n'
    file.write_text("".join(line % (str(number) * 40) for number in range(1, 41)))
    sft = {"conversations": str(file), "num_epochs": 2, "batch_size": 4}
    found = plan_run(parse_config({"sft": {**sft, "max_length": 512}}), 64, "m4-max")
    assert found.num_steps == 10
    assert any("40 conversations of" in line for line in found.assumptions)
    whole = plan_run(parse_config({"sft": {**sft, "conversations": None}}), 64, "m4-max")
    assert found.step.total < whole.step.total / 4


def test_this_machine_is_planned_for_when_none_is_named():
    found = plan_run(parse_config({"distillation": {}}))
    assert found.chip == this_chip().name
    assert found.memory_gb > 0


def test_unknown_models_and_chips_are_refused_in_words():
    with pytest.raises(ModelError, match="There is no model 'qwen9'"):
        plan(student_model="qwen9")
    with pytest.raises(InputError, match="no chip 'x9'"):
        plan(chip="x9")


def test_a_chip_that_is_only_estimated_is_said_to_be():
    found = plan(chip="m6-max")
    assert found.chip_source == "estimated"
    assert any("an estimate" in text for text in found.assumptions)
    assert plan().chip_source == "known"


def test_a_raised_limit_of_the_gpu_counts_on_this_machine_only(monkeypatch):
    monkeypatch.setattr(plans, "raised_gpu_limit", lambda: 120 * 2**30)
    monkeypatch.setattr(plans, "this_chip", lambda: find_chip("m4-max"))
    here = plan_run(parse_config({"distillation": {}}))
    assert here.limit_gb == pytest.approx(120 * 2**30 / 1e9, abs=0.01)
    assert plan().limit_gb == pytest.approx(107.5 * 2**30 / 1e9, abs=0.1)


@pytest.mark.parametrize(
    ("preset", "memory_gb"),
    [("vlm_distillation/fast_mac", 32), ("vlm_distillation/default", 96), ("grpo/thinking", 16)],
)
def test_what_is_offered_to_any_method_is_what_the_plan_says_once_it_is_done(preset, memory_gb):
    """Pictures count in what is offered, and settings that forbid a change are heeded."""
    values = read_preset(Path(preset))
    block = BLOCK_OF_METHOD[parse_config(values).method]
    found = plan_run(parse_config(values), memory_gb, "m3-max")
    assert found.verdict != "fits"
    assert found.advice or found.verdict == "tight" or NOTHING_HELPS in found.warnings
    for offer in found.advice:
        changed = {**values, block: {**values[block], **offer.changes}}
        again = plan_run(parse_config(changed), memory_gb, "m3-max")
        assert (again.verdict, again.needed_gb) == (offer.verdict, offer.needed_gb)
        assert again.verdict != "does_not_fit"
        assert again.step.total == pytest.approx(offer.step_seconds, abs=0.002)


def test_a_step_takes_less_where_less_is_learned_or_rollouts_are_used_again():
    whole = plan().step
    half, twice = plan(loss_tokens="50%").step, plan(rollout_reuse=2).step
    assert half.sampling < 0.6 * whole.sampling
    assert half.learning < whole.learning
    assert twice.sampling == pytest.approx(whole.sampling / 2, abs=1e-3)
    assert twice.scoring == pytest.approx(whole.scoring / 2, abs=1e-3)
    assert twice.learning == whole.learning
    assert plan(loss_tokens="auto").step == whole
