"""Every setting has a default, a bound and an error that names its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from OnPolicyDistill.config import (
    MAX_CONFIG_BYTES,
    OnPolicyConfig,
    RunConfig,
    SftConfig,
    dump_config,
    load_config,
    parse_config,
    parse_yaml,
    with_overrides,
)
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.settings.distillation import DistillationSettings

SEED_CONFIGURATION = """
method: on_policy
distillation:
  teacher_model: qwen2.5-32b        # registry alias, hub id or folder
  student_model: qwen2.5-7b
  student_adapter: null             # LoRA to continue from, e.g. of an SFT run
  num_steps: 1000
  batch_size: 4
  gradient_accumulation_steps: 2
  learning_rate: 0.00001
  temperature: 2.0                  # 1.0 to 4.0
  kl_weight: 0.8
  ce_weight: 0.2
  max_generation_tokens: 512
  logprob_method: manual_loop
  validation_source: separate_file  # a separate file of prompts is required
  validation_prompts: data/validation/opd_val_prompts.jsonl   # no default
  mixed_precision: true
  teacher_cache_size_mb: 4096
  keep_teacher_loaded: true
  checkpoint_every: 100
  eval_every: 100
"""


# The teacher completes and scores before the student is seen again.
BLIND = {"teacher_targets": "top_k", "keep_teacher_loaded": False, "on_policy_fraction": 0.5}


def on_policy(text: str) -> OnPolicyConfig:
    config = parse_config(parse_yaml(text, "test.yaml"), "test.yaml")
    assert isinstance(config, OnPolicyConfig)
    return config


def test_the_seed_configuration_loads_verbatim_and_equals_the_defaults() -> None:
    given = on_policy(SEED_CONFIGURATION).distillation
    validation = "data/validation/opd_val_prompts.jsonl"
    assert given == DistillationSettings(validation_prompts=validation)


def test_every_key_of_the_seed_configuration_may_be_left_out() -> None:
    values = yaml.safe_load(SEED_CONFIGURATION)
    whole = parse_config(values)
    for key in values["distillation"]:
        fewer = {name: value for name, value in values["distillation"].items() if name != key}
        config = parse_config({"distillation": fewer})
        assert isinstance(config, OnPolicyConfig)
        if key != "validation_prompts":
            assert config == whole


def test_the_method_line_may_be_left_out_where_the_block_says_it() -> None:
    assert isinstance(parse_config({"distillation": {}}), OnPolicyConfig)
    assert isinstance(parse_config({"sft": {}}), SftConfig)


@pytest.mark.parametrize("values", [{}, {"distillation": {}, "sft": {}}, {"other": 1}])
def test_a_file_that_names_no_method_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"names no method.*method: on_policy"):
        parse_config(values, "test.yaml")


@pytest.mark.parametrize("values", [None, [], "text", 3])
def test_a_file_that_is_no_mapping_is_refused(values: object) -> None:
    with pytest.raises(ConfigError, match="not a mapping"):
        parse_config(values)


def test_an_unknown_method_is_named_as_such() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config({"method": "ppo"})
    assert [field for field, _ in caught.value.locations] == ["method"]


def test_each_wrong_setting_is_named_with_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        on_policy("distillation:\n  batch_size: 0\n  lora: {rank: 0}\n  colour: red\n")
    assert {field for field, _ in caught.value.locations} == {
        "distillation.batch_size",
        "distillation.lora.rank",
        "distillation.colour",
    }
    assert "test.yaml has 3 wrong settings" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "line",
    [
        "temperature: 0.5",
        "temperature: 4.5",
        "temperature: .nan",
        "learning_rate: .inf",
        "learning_rate: 0",
        "batch_size: 1.5",
        "num_steps: many",
        "validation_source: split",
        "divergence: kl",
        "seed: -1",
        "kl_weight: -0.1",
        "lora: {dropout: 1.0}",
    ],
)
def test_a_setting_out_of_its_range_is_refused(line: str) -> None:
    with pytest.raises(ConfigError):
        on_policy(f"distillation:\n  {line}\n")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"kl_weight": 0, "ce_weight": 0}, "nothing would be learned"),
        ({"keep_teacher_loaded": False, "teacher_cache_size_mb": 0}, "room for scores"),
        ({**BLIND, "divergence": "reverse_kl"}, "tokens that the student likes"),
        ({**BLIND, "divergence": "jsd"}, "tokens that the student likes"),
        ({"divergence": "sampled_reverse_kl"}, "unbiased only"),
        ({"divergence": "sampled_reverse_kl", "temperature": 1, "top_p": 0.9}, "unbiased only"),
        (
            {"divergence": "sampled_reverse_kl", "temperature": 1, "fixed_rollouts": True},
            "fresh student samples",
        ),
        (
            {"divergence": "sampled_reverse_kl", "temperature": 1, "on_policy_fraction": 0.5},
            "fresh student samples",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, object], reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        parse_config({"distillation": settings})


@pytest.mark.parametrize(
    "change",
    [
        {"divergence": "forward_kl"},
        {"teacher_targets": "hidden_states"},
        {"keep_teacher_loaded": True},
        {"on_policy_fraction": 1.0},
    ],
)
def test_top_k_targets_are_taken_where_the_students_tokens_are_known_or_not_needed(
    change: dict[str, object],
) -> None:
    parse_config({"distillation": {**BLIND, **change}})


def test_an_exponent_without_a_point_is_a_number() -> None:
    assert on_policy("distillation:\n  learning_rate: 1e-4\n").distillation.learning_rate == 1e-4


def test_every_setting_has_a_description() -> None:
    for model in (OnPolicyConfig, SftConfig):
        for definition in model.model_json_schema()["$defs"].values():
            for name, field in definition["properties"].items():
                assert field.get("description"), name


@pytest.mark.parametrize("config", [OnPolicyConfig(), SftConfig()])
def test_a_dumped_config_reads_back_equal(config: RunConfig) -> None:
    assert parse_config(parse_yaml(dump_config(config), "dump")) == config


def test_yaml_aliases_are_refused_before_they_expand() -> None:
    bomb = ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
    bomb += [f"b{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(ConfigError, match=r"test\.yaml, line 2: aliases are not allowed"):
        parse_yaml("\n".join(bomb), "test.yaml")


def test_a_setting_given_twice_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"line 3: .*num_steps is given twice"):
        parse_yaml("distillation:\n  num_steps: 1\n  num_steps: 2\n", "test.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: [1, 2",
        "a: 2001-99-99",
        "a: 0b_",
        "a: " + "1" * 5_000,
        "[" * 10_000,
        "a: \x00",
        "!!python/object/apply:os.system [ls]",
        "a: {[1]: 2}",
    ],
)
def test_broken_yaml_is_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match=r"test\.yaml.* valid YAML"):
        parse_yaml(text, "test.yaml")


def test_a_broken_line_is_named() -> None:
    with pytest.raises(ConfigError, match=r"test\.yaml, line 3"):
        parse_yaml("distillation:\n  num_steps: 5\n batch_size: 2\n", "test.yaml")


def test_files_that_cannot_be_a_config_are_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (MAX_CONFIG_BYTES + 1))
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("a: ü".encode("latin-1"))
    for path, reason in (
        (tmp_path / "absent.yaml", "no config file"),
        (tmp_path, "no config file"),
        (huge / "inside.yaml", "no config file"),
        (huge, "larger than 200 kB"),
        (latin, "not UTF-8"),
    ):
        with pytest.raises(ConfigError, match=reason):
            load_config(path)


def test_overrides_reach_nested_settings_and_leave_the_original_alone() -> None:
    values: dict[str, object] = {"distillation": {"num_steps": 1, "lora": {"rank": 4}}}
    changed = with_overrides(
        values, {"distillation.lora.rank": 8, "distillation.seed": 3, "method": "on_policy"}
    )
    assert changed == {
        "method": "on_policy",
        "distillation": {"num_steps": 1, "seed": 3, "lora": {"rank": 8}},
    }
    assert values == {"distillation": {"num_steps": 1, "lora": {"rank": 4}}}
