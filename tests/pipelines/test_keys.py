"""A stage's key follows what decides its result, and nothing else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from OnPolicyDistill.config import RunConfig, parse_config
from OnPolicyDistill.pipelines.keys import stage_key
from tests.backend.tiny import write_jsonl


@pytest.fixture
def values(tmp_path: Path) -> dict[str, object]:
    """Settings with a model, an adapter, files and a reward of the user's, all in folders."""
    model, adapter = tmp_path / "model", tmp_path / "adapter"
    model.mkdir()
    (model / "config.json").write_text("{}")
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapters.safetensors").write_bytes(b"weights")
    (tmp_path / "reward.py").write_text("def reward(completion): return 1.0\n")
    return {
        "model": str(model),
        "student_adapter": str(adapter),
        "prompts": str(write_jsonl(tmp_path / "p.jsonl", [{"prompt": "a", "answer": "b"}])),
        "validation_prompts": str(write_jsonl(tmp_path / "v.jsonl", [{"prompt": "c"}])),
        "rewards": [{"kind": "python", "file": str(tmp_path / "reward.py")}],
    }


def config_of(values: dict[str, object], **changes: object) -> RunConfig:
    return parse_config({"method": "grpo", "grpo": {**values, **changes}})


def key_of(values: dict[str, object], **changes: object) -> str:
    return stage_key(config_of(values, **changes))


@pytest.mark.parametrize(
    "file",
    [
        "p.jsonl",
        "v.jsonl",
        "reward.py",
        "adapter/adapters.safetensors",
        "adapter/adapter_config.json",
    ],
)
def test_another_content_is_another_key(
    values: dict[str, object], tmp_path: Path, file: str
) -> None:
    before = key_of(values)
    assert key_of(values) == before
    text = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(text + b" ")
    assert key_of(values) != before
    (tmp_path / file).write_bytes(text)
    assert key_of(values) == before


def test_the_same_content_elsewhere_is_the_same_key(
    values: dict[str, object], tmp_path: Path
) -> None:
    moved = {
        "prompts": str(shutil.copy(tmp_path / "p.jsonl", tmp_path / "elsewhere.jsonl")),
        "student_adapter": str(shutil.copytree(tmp_path / "adapter", tmp_path / "000100")),
    }
    assert key_of(values, **moved) == key_of(values)


def test_settings_count_and_names_do_not(values: dict[str, object]) -> None:
    assert key_of(values, seed=1) != key_of(values)
    assert key_of(values, student_adapter=None) != key_of(values)
    assert key_of(values, run_name="other") == key_of(values)


def test_a_model_that_was_written_again_is_another_one(
    values: dict[str, object], tmp_path: Path
) -> None:
    before = key_of(values)
    os.utime(tmp_path / "model" / "config.json", (1, 1))
    assert key_of(values) != before


def test_the_adapter_of_an_evaluation_counts_by_its_content(
    values: dict[str, object], tmp_path: Path
) -> None:
    def key() -> str:
        variant = {"name": "a", "model": "qwen2.5-7b", "adapter": values["student_adapter"]}
        settings = {"inputs": values["prompts"], "variants": [variant]}
        return stage_key(parse_config({"evaluation": settings}))

    before = key()
    (tmp_path / "adapter" / "adapters.safetensors").write_bytes(b"others")
    assert key() != before
