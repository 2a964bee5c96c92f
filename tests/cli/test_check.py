"""A config, a pair or prompt files are checked before anything is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Opd


def test_a_run_that_can_start_ends_with_0(opd: Opd, pair: Path) -> None:
    outcome = opd("check", str(pair / "config.yaml"))
    assert outcome.exit_code == 0
    assert "speak the same tokens" in outcome.out
    assert "The run can start" in outcome.out


def test_a_run_that_would_be_refused_ends_with_2_and_names_the_field(opd: Opd, pair: Path) -> None:
    config = str(pair / "config.yaml")
    outcome = opd("check", config, "--set", "validation_prompts=null")
    assert outcome.exit_code == 2
    assert "error: distillation.validation_prompts: No held-out prompts" in outcome.out
    report = opd("check", config, "--validation", "nowhere.jsonl", "--json").json()
    assert isinstance(report, dict)
    assert report["verdict"] == "error"


def test_the_check_says_what_the_adapter_goes_on_and_refuses_names_that_are_not_there(
    opd: Opd, pair: Path
) -> None:
    config = str(pair / "config.yaml")
    outcome = opd("check", config, "--set", "lora.targets=[q_proj]")
    assert "linear layers: self_attn.q_proj." in outcome.out
    outcome = opd("check", config, "--set", "lora.targets=[w1]")
    assert outcome.exit_code == 2
    assert "error: distillation.lora.targets: The LoRA target 'w1' matches" in outcome.out


def test_a_pair_alone_can_be_checked(opd: Opd, pair: Path, tmp_path: Path) -> None:
    names = ("--student", str(pair / "student"), "--teacher", str(pair / "teacher"))
    outcome = opd("check", *names)
    assert outcome.exit_code == 0
    assert "tokenizer" in outcome.out
    value = opd("check", *names, "--prompts", str(pair / "prompts.jsonl"), "--json").json()
    assert isinstance(value, dict)
    assert value["pair"]["verdict"] == "ok"
    assert [report["num_prompts"] for report in value["files"]] == [24]


def test_held_out_prompts_are_compared_with_the_training_prompts(opd: Opd, pair: Path) -> None:
    files = ("--prompts", str(pair / "prompts.jsonl"), "--validation")
    value = opd("check", *files, str(pair / "validation.jsonl"), "--json").json()
    assert isinstance(value, dict)
    assert [report["num_leaked"] for report in value["files"]] == [0, 1]


def test_a_pair_with_other_tokens_ends_with_2(opd: Opd, pair: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in (pair / "teacher").iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    first, second = list(vocabulary)[:2]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (other / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    outcome = opd("check", "--student", str(pair / "student"), "--teacher", str(other))
    assert outcome.exit_code == 2
    assert "mismatch  tokenizer" in outcome.out


def test_a_pair_with_a_model_that_nothing_could_load_ends_with_2(
    opd: Opd, pair: Path, tmp_path: Path
) -> None:
    names = ("--student", str(tmp_path / "copy"), "--teacher", str(pair / "teacher"))
    copied = shutil.copytree(pair / "student", tmp_path / "copy")
    assert opd("check", *names, "--json").json()["models"] == []
    settings = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    (copied / "config.json").write_text(json.dumps(settings | {"model_type": "qwen99"}))
    outcome = opd("check", *names)
    assert outcome.exit_code == 2
    assert "is of the architecture qwen99" in outcome.out
    (copied / "model.safetensors").unlink()
    outcome = opd("check", *names)
    assert outcome.exit_code == 2
    assert "PyTorch .bin files are not read." in outcome.out


def test_nothing_named_is_the_users_mistake(opd: Opd) -> None:
    assert "Nothing to check is named" in opd("check").err
    assert "Give --student" in opd("check", "--teacher", "qwen2.5-7b").err
