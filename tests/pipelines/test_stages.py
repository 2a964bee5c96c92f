"""A pipeline's file becomes runs with every setting; what is wrong is said with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from OnPolicyDistill.config import EvaluationConfig, GrpoConfig, SftConfig, parse_config
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.pipelines.directory import dump_pipeline
from OnPolicyDistill.pipelines.reading import read_source, shipped_pipelines
from OnPolicyDistill.pipelines.stages import stages_of
from tests.pipelines.conftest import settled

GOOD = """\
name: two
stages:
  - name: sft
    method: sft
    settings:
      model: tiny-student
      conversations: c.jsonl
      lora: {rank: 4}
  - name: rewards
    config: grpo/demo
    from: sft
    settings: {num_steps: 4, lora: {rank: 8}}
  - name: look
    method: evaluation
    from: rewards
    settings: {inputs: held.jsonl}
compare:
  inputs: items.jsonl
  max_answer_tokens: 24
  variants: [sft, rewards, {model: tiny-student, name: before}]
"""


def test_stages_are_runs_with_all_their_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stages = stages_of(settled(GOOD))
    assert [(one.name, one.start, one.variant) for one in stages] == [
        ("sft", None, None),
        ("rewards", "sft", None),
        ("look", "rewards", None),
        ("answers-of-sft", "sft", "sft"),
        ("answers-of-rewards", "rewards", "rewards"),
        ("answers-of-before", None, "before"),
    ]
    sft, rewards = stages[0].config, stages[1].settled(Path("/adapters/a"))
    assert isinstance(sft, SftConfig)
    assert sft.sft.conversations == str(tmp_path / "c.jsonl")
    assert sft.sft.run_name == "two: sft"
    assert isinstance(rewards, GrpoConfig)
    assert rewards.grpo.student_adapter == "/adapters/a"
    # A group of settings changes what it names: alpha is the preset's.
    assert (rewards.grpo.num_steps, rewards.grpo.lora.rank, rewards.grpo.lora.alpha) == (4, 8, 64)
    for place in (2, 4):
        asked = stages[place].settled(Path("/adapters/b"))
        assert isinstance(asked, EvaluationConfig)
        (variant,) = asked.evaluation.variants
        assert (variant.model, variant.adapter) == ("tiny-student", "/adapters/b")
    assert asked.evaluation.inputs == str(tmp_path / "items.jsonl")
    assert variant.max_answer_tokens == 24


def test_a_settled_pipeline_is_its_own_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    once = settled(GOOD)
    monkeypatch.chdir("/")
    assert settled(dump_pipeline(once)) == once


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name: two\n": ""}, "line 1: name: is missing"),
        ({"    from: sft": "    form: sft"}, "line 11: stages.1.form: there is no such setting"),
        ({"    from: sft": "    from: look"}, "line 11: stages.1.from: there is no earlier stage"),
        ({"- name: look": "- name: sft"}, "line 13: stages.2.name: two stages are called sft"),
        ({"variants: [sft,": "variants: [stf,"}, "variants.0.stage: there is no stage stf"),
        ({"variants: [sft,": "variants: [look,"}, "line 20: look trains nothing"),
        ({"method: sft": "method: grpo"}, "line 3, stage sft has"),
        (
            {"grpo/demo": "grpo/dmeo"},
            "stage rewards: There is no config file or preset grpo/dmeo",
        ),
        ({"grpo/demo": "vision_surgery/demo"}, "projector is no method of a stage"),
        ({"{num_steps: 4": "{num_stps: 4"}, r"grpo.num_stps: there is no such setting \(is it"),
        ({"{num_steps: 4": "{model: tiny-teacher"}, "An adapter belongs to one model"),
        ({"{num_steps: 4": "{student_adapter: x"}, "it names an adapter, and a stage"),
        ({"lora: {rank: 4}": "lora: null"}, "it trains every weight, and stages hand adapters on"),
        ({"from: rewards": "from: rewards\n    config: grpo/demo"}, "is of method grpo, not eval"),
        (
            {"{inputs: held": "{variants: [{model: qwen2.5-7b}], inputs: held"},
            "only the adapter of",
        ),
        ({"    method: sft\n": ""}, "neither a method nor a config"),
        ({"{rank: 4}": "{rank: 4"}, "is not valid YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: dict[str, str], sentence: str) -> None:
    text = GOOD
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new, 1)
    with pytest.raises(ConfigError, match=sentence):
        settled(text)


def test_a_pipeline_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"There is no pipeline .*nowhere.yaml"):
        read_source(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="a mapping"):
        settled("- 1\n")


def test_presets_of_runs_are_no_pipelines_and_the_other_way_round() -> None:
    for file in shipped_pipelines().values():
        with pytest.raises(ConfigError):
            parse_config(yaml.safe_load(file.read_text(encoding="utf-8")))
