"""From config file and options to settings, wrong ones refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.cli.settings import Given, load_settings
from OnPolicyDistill.config import (
    GrpoConfig,
    OnPolicyConfig,
    ProjectorConfig,
    RunConfig,
    SftConfig,
    parse_config,
)
from OnPolicyDistill.errors import ConfigError, InputError
from OnPolicyDistill.presets import with_absolute_paths
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.sft import SftSettings


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def distillation(config: RunConfig) -> DistillationSettings:
    assert isinstance(config, OnPolicyConfig)
    return config.distillation


def test_assignments_reach_settings_with_or_without_the_block(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", "distillation: {num_steps: 5}\n")
    given = Given({}, ("lora.rank=8", "distillation.seed=3", "run_name=a b", "eval_prompts=null"))
    settings = distillation(load_settings(file, given))
    assert (settings.num_steps, settings.lora.rank, settings.seed) == (5, 8, 3)
    assert (settings.run_name, settings.eval_prompts) == ("a b", None)


@pytest.mark.parametrize("assignment", ["projector=mlp", "projector.projector=mlp"])
def test_a_setting_that_is_called_as_its_block_is_set_by_its_name(assignment: str) -> None:
    config = load_settings(None, Given({}, (assignment, "seed=3")), "projector")
    assert isinstance(config, ProjectorConfig)
    assert (config.projector.projector, config.projector.seed) == ("mlp", 3)


def test_options_win_over_the_file_and_over_assignments(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", "distillation: {teacher_model: a, student_model: b}\n")
    given = Given({"teacher": "c", "student": None, "name": "n"}, ("teacher_model=d",))
    settings = distillation(load_settings(file, given))
    assert (settings.teacher_model, settings.student_model, settings.run_name) == ("c", "b", "n")


def test_options_mean_the_same_in_a_fine_tuning_config(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", "sft: {}\n")
    config = load_settings(file, Given({"student": "m", "prompts": "p", "validation": "v"}))
    assert isinstance(config, SftConfig)
    settings = config.sft
    assert settings.model == "m"
    assert settings.conversations == str(Path("p").resolve())
    assert settings.validation_conversations == str(Path("v").resolve())
    with pytest.raises(InputError, match="--teacher means nothing"):
        load_settings(file, Given({"teacher": "t"}))


def test_without_a_file_the_defaults_are_taken() -> None:
    assert load_settings(None, Given({})) == parse_config({"distillation": {}})


@pytest.mark.parametrize("assignment", ["num_steps", "=3", ""])
def test_an_assignment_without_key_or_value_is_refused(assignment: str) -> None:
    with pytest.raises(InputError, match="no key=value"):
        load_settings(None, Given({}, (assignment,)))


def test_wrong_settings_are_named_with_their_file(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", "distillation: {num_steps: 0, colour: red}\n")
    with pytest.raises(ConfigError, match=r"(?s)c\.yaml has 2 wrong settings:.*num_steps.*colour"):
        load_settings(file, Given({}))
    with pytest.raises(ConfigError, match=r"--set lora, line 1"):
        load_settings(None, Given({}, ("lora=[",)))
    with pytest.raises(ConfigError, match="not a mapping"):
        load_settings(write(tmp_path / "list.yaml", "- 1\n"), Given({}))


def test_paths_become_independent_of_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "student").mkdir()
    config = OnPolicyConfig(
        distillation=DistillationSettings(
            teacher_model="qwen2.5-32b",
            student_model="student",
            student_adapter="adapters/a",
            teacher_adapter="adapters/b",
            prompts="p.jsonl",
            validation_prompts=None,
        )
    )
    settings = distillation(with_absolute_paths(config))
    assert settings.teacher_model == "qwen2.5-32b"
    assert settings.student_model == str(tmp_path / "student")
    assert settings.student_adapter == str(tmp_path / "adapters" / "a")
    assert settings.teacher_adapter == str(tmp_path / "adapters" / "b")
    assert settings.prompts == str(tmp_path / "p.jsonl")
    assert settings.validation_prompts is None
    sft = with_absolute_paths(SftConfig(sft=SftSettings(conversations="c.jsonl")))
    assert isinstance(sft, SftConfig)
    assert sft.sft.conversations == str(tmp_path / "c.jsonl")
    rewards = [{"kind": "python", "file": "reward.py"}]
    grpo = with_absolute_paths(parse_config({"grpo": {"rewards": rewards}}))
    assert isinstance(grpo, GrpoConfig)
    assert grpo.grpo.rewards[0].file == str(tmp_path / "reward.py")


def test_a_presets_data_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = distillation(load_settings(Path("pure_on_policy"), Given({})))
    assert settings.prompts is not None
    assert Path(settings.prompts).is_file()
    own = write(tmp_path / "data" / "train" / "opd_train_prompts.jsonl", "{}")
    settings = distillation(load_settings(Path("pure_on_policy"), Given({})))
    assert settings.prompts == str(own)
