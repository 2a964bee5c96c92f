"""Every preset loads, plans and finds its data; the seed configuration is verbatim."""

import re
from pathlib import Path

import pytest
import yaml

from backend.presets import shipped_presets
from benchmarks.models_page import MACS
from OnPolicyDistill.config import load_config
from OnPolicyDistill.datasets.linter import lint_prompts
from OnPolicyDistill.planning.architectures import training_reason
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.planning.pair import check_pair_by_name
from OnPolicyDistill.planning.plan import plan_run
from OnPolicyDistill.presets import RECOMMENDED, preset_files, preset_header
from OnPolicyDistill.registry import find_model, lora_targets
from OnPolicyDistill.training.distillation import objective_of

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "configs"
FILES = [file for file in sorted(CONFIGS.glob("**/*.yaml")) if file.parent.name != "pipelines"]
PRESETS = [str(path.relative_to(CONFIGS).with_suffix("")) for path in FILES]
PRESETS.remove("models")
SEED = {
    "teacher_model": "qwen2.5-32b",
    "student_model": "qwen2.5-7b",
    "student_adapter": None,
    "num_steps": 1000,
    "batch_size": 4,
    "gradient_accumulation_steps": 2,
    "learning_rate": 0.00001,
    "temperature": 2.0,
    "kl_weight": 0.8,
    "ce_weight": 0.2,
    "max_generation_tokens": 512,
    "logprob_method": "manual_loop",
    "validation_source": "separate_file",
    "validation_prompts": "data/validation/opd_val_prompts.jsonl",
    "mixed_precision": True,
    "teacher_cache_size_mb": 4096,
    "keep_teacher_loaded": True,
    "checkpoint_every": 100,
    "eval_every": 100,
}


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def preset(name):
    return load_config(Path("configs") / f"{name}.yaml")


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_loads_and_plans(name):
    plan = plan_run(preset(name), 128, "m3-ultra")
    assert plan.seconds > 0
    assert plan.needed_gb > 0


def test_the_seed_configuration_has_exactly_its_keys_and_values():
    values = yaml.safe_load(Path("configs/default.yaml").read_text())
    assert values == {"method": "on_policy", "distillation": SEED}


def test_the_seed_configuration_fits_in_128_gb_or_one_named_setting_makes_it_fit():
    plan = plan_run(preset("default"), 128, "m3-ultra")
    helps = [advice.changes for advice in plan.advice if advice.verdict == "fits"]
    assert plan.verdict == "fits" or {"grad_checkpoint": True} in helps


@pytest.mark.parametrize("name", ["pure_on_policy", "published_recipe", "fast_mac"])
def test_the_other_presets_fit_in_128_gb_and_pass_the_check(name, tmp_path):
    assert plan_run(preset(name), 128, "m3-ultra").verdict == "fits"
    report = check_run(preset(name), tmp_path)
    assert report.pair.verdict == "ok"
    assert [finding.code for finding in report.findings if finding.code != "disk"] == []


def test_what_learned_best_stands_first_and_is_the_only_one_marked():
    assert next(iter(preset_files())) == RECOMMENDED == "published_recipe"
    marked = [preset.name for preset in shipped_presets() if preset.recommended]
    assert marked == [RECOMMENDED]
    assert "notes' default" in shipped_presets()[1].title


def test_the_published_recipe_is_pure_on_policy_with_their_adapter_and_rate():
    ours, theirs = (preset(name).distillation for name in ("pure_on_policy", "published_recipe"))
    assert theirs.learning_rate == 10 * 5e-5
    assert (theirs.lora.rank, theirs.lora.alpha, theirs.lora.layers) == (128, 32, -1)
    assert theirs.lora.targets is None
    assert objective_of(theirs) == objective_of(ours)
    assert (theirs.temperature, theirs.ce_weight) == (1, 0)


@pytest.mark.parametrize(("memory_gb", "chip"), MACS.items())
def test_a_macs_preset_fits_it_with_a_pair_that_shares_tokens_and_trains(memory_gb, chip):
    config = preset(f"macs/{memory_gb}gb")
    plan = plan_run(config, memory_gb, chip)
    pair = check_pair_by_name(config.distillation.student_model, config.distillation.teacher_model)
    assert (plan.verdict, pair.verdict) == ("fits", "ok")
    assert not any("cut" in warning for warning in plan.warnings)
    models = config.distillation.student_model, config.distillation.teacher_model
    assert all(training_reason(find_model(name).family) is None for name in models)
    assert all(find_model(name).form in find_model(name).hub_ids for name in models)


def test_every_mac_has_a_preset_and_a_larger_one_a_larger_run():
    assert [f"macs/{memory}gb" for memory in MACS] == sorted(
        (name for name in PRESETS if name.startswith("macs/")), key=lambda name: int(name[5:-2])
    )
    sizes = [plan_run(preset(f"macs/{gb}gb"), gb, chip).needed_gb for gb, chip in MACS.items()]
    assert sizes == sorted(sizes)


def test_fast_mac_says_the_pace_that_is_forecast_on_the_biggest_laptop():
    pace = plan_run(preset("fast_mac"), 128, "m5-max").step.steps_per_minute
    said = re.search(r"About (\w+) steps a minute", Path("configs/fast_mac.yaml").read_text())
    assert said is not None
    assert {"seven": 7, "eight": 8, "nine": 9}[said[1]] == round(pace)
    assert pace > 4 * plan_run(preset("default"), 128, "m5-max").step.steps_per_minute


def test_a_chip_that_is_not_out_yet_is_planned_for_like_the_one_before():
    paces = [
        plan_run(preset("fast_mac"), 128, chip).step.steps_per_minute
        for chip in ("m6-max", "m5-max", "m7-max")
    ]
    assert max(paces) < 2 * min(paces)


def test_the_shipped_prompts_are_clean_and_share_nothing():
    train = Path("data/train/opd_train_prompts.jsonl")
    held_out = Path("data/validation/opd_val_prompts.jsonl")
    for report in (lint_prompts(train), lint_prompts(held_out, train)):
        assert (report.verdict, report.findings) == ("ok", ())
    assert lint_prompts(train).num_prompts > 3 * lint_prompts(held_out).num_prompts >= 180


def test_the_preset_for_fine_tuning_has_the_figures_of_the_recipe():
    sft = preset("prompt_distillation/sft").sft
    assert (sft.lora.rank, sft.lora.alpha, sft.learning_rate) == (32, 16, 2e-4)
    assert (sft.schedule, sft.schedule_min_ratio, sft.warmup_ratio) == ("cosine", 0.1, 0.03)
    assert (sft.max_length, sft.grad_checkpoint) == (2048, True)
    assert sft.num_epochs
    assert plan_run(preset("prompt_distillation/sft"), 128, "m3-ultra").verdict == "fits"


@pytest.mark.parametrize(
    ("name", "rank", "alpha", "rate", "accumulation"),
    [
        ("qwen2.5_1.5b", 32, 16, 3e-5, 16),
        ("phi3.5_mini", 64, 32, 2e-5, 16),
        ("r1_distill_qwen_7b", 64, 32, 2e-5, 32),
    ],
)
def test_each_family_has_its_figures_for_fine_tuning_and_for_rewards(
    name, rank, alpha, rate, accumulation
):
    sft, grpo = preset(f"sft/{name}").sft, preset(f"grpo/{name}").grpo
    assert sft.model == grpo.model
    for settings in (sft, grpo):
        assert (settings.lora.rank, settings.lora.alpha) == (rank, alpha)
        assert settings.learning_rate == rate
        assert (settings.batch_size, settings.gradient_accumulation_steps) == (1, accumulation)
        known = find_model(settings.model)
        assert known is not None
        assert settings.lora.targets is None
        assert set(known.lora_targets) == set(lora_targets(str(known.config["model_type"])))
    assert grpo.grading_kind == "label"
    for kind in ("sft", "grpo"):
        assert plan_run(preset(f"{kind}/{name}"), 128, "m3-ultra").verdict != "does_not_fit"


def test_no_description_names_another_preset_by_what_one_types():
    names = preset_files()
    for file in names.values():
        _, description = preset_header(file.read_text())
        assert not any(f"`{name}`" in description for name in names), file
    _, said = preset_header(names["pure_on_policy"].read_text())
    assert '"The published recipe"' in said


def test_macs_stand_in_the_order_of_their_memory():
    macs = [name for name in preset_files() if name.startswith("macs/")]
    assert macs == [f"macs/{size}gb" for size in (16, 32, 64, 128, 512)]
