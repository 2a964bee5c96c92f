"""The demonstration of pipelines, short and whole: six variants, measured by their own runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from OnPolicyDistill.datasets.prompts import load_prompts
from OnPolicyDistill.demo.pipeline_story import (
    PipelineDemoResult,
    pipeline_demo_settings,
    run_pipeline_demo,
)
from OnPolicyDistill.evaluation.labelled_report import load_evaluation
from OnPolicyDistill.pipelines.stages import stages_of
from OnPolicyDistill.runs.directory import find_run
from OnPolicyDistill.settings.pipeline import PipelineSettings, StageSettings
from tests.pipelines.conftest import Heard, never

SHORT = {"num_steps": 2, "eval_every": 2, "checkpoint_every": 2, "warmup_steps": 0}
SIX = ["qwen-sft", "qwen-grpo", "phi-sft", "phi-grpo", "r1-sft", "r1-grpo"]


def shortened(settings: PipelineSettings, family: str) -> PipelineSettings:
    """Two steps a stage of one family, and 24 items."""

    def short(stage: StageSettings) -> StageSettings:
        changes = dict(SHORT) if stage.start is None else {**SHORT, "eval_prompts": 4}
        return stage.model_copy(update={"settings": {**stage.settings, **changes}})

    compare = settings.compare
    assert compare is not None
    stages = tuple(short(stage) for stage in settings.stages if stage.name.startswith(family))
    names = {stage.name for stage in stages}
    variants = tuple(variant for variant in compare.variants if variant.stage in names)
    fewer = compare.model_copy(update={"variants": variants, "max_samples": 24})
    return settings.model_copy(update={"stages": stages, "compare": fewer})


def assert_measured(result: PipelineDemoResult, workspace: Path) -> None:
    """Every number of a variant is one of its evaluation's own report."""
    for row in result.variants:
        saved = load_evaluation(find_run(workspace, row.evaluation_run_id).path)
        (report,) = saved.report.variants
        assert (row.accuracy, row.interval) == (report.accuracy, report.interval)
        assert row.interval.low - 1e-9 <= row.accuracy <= row.interval.high + 1e-9  # rounding
        assert row.seconds_per_answer == report.seconds_per_answer > 0
        assert row.answer_peak_gb is not None
        assert row.all_train_seconds is not None
        assert 0 < row.answer_peak_gb < 10


def test_the_table_is_made_on_graphs_that_no_stage_sees() -> None:
    settings = pipeline_demo_settings()
    assert settings.compare is not None
    held_out = {prompt.text for prompt in load_prompts(Path(settings.compare.inputs)).prompts}
    assert len(held_out) >= 200
    assert [variant.title for variant in settings.compare.variants] == SIX
    for stage in settings.stages:
        named = {
            value
            for value in stage.settings.values()
            if isinstance(value, str) and value.endswith(".jsonl")
        }
        assert len(named) == 2
        for file in named:
            assert not held_out & {prompt.text for prompt in load_prompts(Path(file)).prompts}


def test_the_shipped_pipelines_settle_and_name_what_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    stages = stages_of(pipeline_demo_settings())
    assert [stage.name for stage in stages[:6]] == SIX
    assert [stage.start for stage in stages[:6]] == [
        None, "qwen-sft", None, "phi-sft", None, "r1-sft",
    ]  # fmt: skip


def test_a_short_demonstration_compares_what_its_runs_measured(tmp_path: Path) -> None:
    settings = shortened(pipeline_demo_settings(), "qwen")
    heard = Heard()
    result = run_pipeline_demo(tmp_path, heard, never, settings, anyway=True)
    assert [row.name for row in result.variants] == ["qwen-sft", "qwen-grpo"]
    assert len(heard.stages) == 4
    assert_measured(result, tmp_path)
    assert result.num_items == 24
    assert {rule.rule for rule in result.baselines} == {"adjacency", "majority", "length"}
    sft, rewarded = result.variants
    assert rewarded.all_train_seconds == pytest.approx(
        (sft.all_train_seconds or 0) + (rewarded.train_seconds or 0)
    )


@pytest.mark.demonstration
def test_the_whole_demonstration_compares_six_variants(tmp_path: Path) -> None:
    result = run_pipeline_demo(tmp_path, Heard(), never, anyway=True)
    assert [row.name for row in result.variants] == SIX
    assert_measured(result, tmp_path)
    by_name = {row.name: row for row in result.variants}
    best_rule = max(rule.accuracy for rule in result.baselines)
    for family in ("qwen", "phi", "r1"):
        assert by_name[f"{family}-grpo"].accuracy > best_rule
