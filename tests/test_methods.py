"""Methods: each described once, and the description true of settings, metrics, checks and runs."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from OnPolicyDistill.config import CONFIGS, RUN_CONFIG, RunConfig, settings_of
from OnPolicyDistill.faces import ChartedMetric, Tab
from OnPolicyDistill.methods import (
    ALL_FACTS,
    METHODS,
    RUN_KINDS,
    EveryKind,
    KindFacts,
    facts_of,
    models_of,
)
from OnPolicyDistill.planning.checkup import check_run
from OnPolicyDistill.runs.metrics import METRICS
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings, RewardKind, RewardSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.sft import SftSettings

EVERY_REWARD = tuple(
    RewardSettings(kind=kind, file="mine.py" if kind == "python" else None)
    for kind in get_args(RewardKind)
)
HELD_OUT_ROLES = ("evaluation", "shuffled", "blank")
VARIANTS: list[KindFacts] = [
    *ALL_FACTS,
    facts_of(PromptDistillationSettings(training="on_policy")),
    facts_of(DistillationSettings(keep_teacher_loaded=False)),
    facts_of(GrpoSettings(rewards=EVERY_REWARD, beta=0.1, num_iterations=2)),
]


def config_of(facts: KindFacts) -> RunConfig:
    return RUN_CONFIG.validate_python({"method": facts.name})


def charted(facts: KindFacts) -> list[ChartedMetric]:
    main = () if facts.face.main is None else facts.face.main.metrics
    return [*main, *(curve for chart in facts.face.small for curve in chart)]


def test_the_kinds_are_the_methods_and_the_evaluation_in_every_mapping() -> None:
    assert set(RUN_KINDS) == {*METHODS, "evaluation"}
    assert set(EveryKind.__annotations__) == set(RUN_KINDS)
    assert tuple(facts.name for facts in ALL_FACTS) == RUN_KINDS


@pytest.mark.parametrize("facts", ALL_FACTS, ids=lambda facts: facts.name)
def test_a_kind_is_described_as_its_config_is_made(facts: KindFacts) -> None:
    config = config_of(facts)
    assert isinstance(config, CONFIGS[facts.name])
    assert set(type(config).model_fields) == {"method", facts.block}
    assert type(settings_of(config)) is facts.settings
    assert facts_of(settings_of(config)).name == facts.name


@pytest.mark.parametrize("facts", ALL_FACTS, ids=lambda facts: facts.name)
def test_models_and_files_of_a_kind_are_settings_of_its_block(facts: KindFacts) -> None:
    settings = settings_of(config_of(facts)).model_dump()
    assert {named.key for named in (*facts.models, *facts.files)} <= settings.keys()
    by_role = {model.role: settings[model.key] for model in facts.models}
    found = models_of(settings_of(config_of(facts)))
    assert found == (by_role.get("student"), by_role.get("teacher"))


def test_kinds_share_neither_block_nor_prefix() -> None:
    for words in ([f.block for f in ALL_FACTS], [f.run_prefix for f in ALL_FACTS]):
        assert len(set(words)) == len(ALL_FACTS)


@pytest.mark.parametrize("facts", ALL_FACTS, ids=lambda facts: facts.name)
def test_a_file_is_missed_by_the_check_where_it_is_required(
    facts: KindFacts, tmp_path: Path
) -> None:
    config = config_of(facts)
    empty = settings_of(config).model_copy(update={file.key: None for file in facts.files})
    report = check_run(config.model_copy(update={facts.block: empty}), tmp_path)
    missed = {found.field for found in report.findings if found.severity == "error"}
    for file in facts.files:
        assert (f"{facts.block}.{file.key}" in missed) == file.required, file.key


@pytest.mark.parametrize("facts", VARIANTS, ids=lambda facts: f"{facts.name}-{facts.best_metric}")
def test_what_a_face_charts_is_declared_and_held_out_curves_are_marked(facts: KindFacts) -> None:
    for curve in charted(facts):
        assert curve.key in METRICS
        assert (METRICS[curve.key].group == "evaluation") == (curve.role in HELD_OUT_ROLES)
    assert set(facts.face.tabs) <= set(get_args(Tab))
    # Where answers are given, nothing is sampled that could be looked at.
    is_given = facts.best_metric in ("eval_loss", None)
    assert ("rollouts" in facts.face.tabs) == (not is_given)


def test_every_method_has_a_best_metric_that_its_page_draws() -> None:
    for facts in VARIANTS:
        if facts.name == "evaluation":
            assert facts.best_metric is None
            continue
        assert facts.best_metric is not None
        assert METRICS[facts.best_metric].better in ("lower", "higher")
        assert facts.best_metric in {curve.key for curve in charted(facts)}


def test_kinds_without_a_teacher_speak_of_none() -> None:
    alone = [facts for facts in VARIANTS if "kl" not in (facts.best_metric or "")]
    names = {"sft", "prompt_distillation", "grpo", "projector", "evaluation"}
    assert {facts.name for facts in alone} == names
    for facts in alone:
        keys = " ".join(curve.key for curve in charted(facts) if curve.key != "reference_kl")
        assert not any(word in keys for word in ("divergence", "kl", "agreement", "teacher"))


def test_every_method_proves_that_it_can_learn_and_an_evaluation_does_not() -> None:
    for facts in VARIANTS:
        assert facts.face.proves == (facts.name in METHODS)
        phases = [words.phase for words in facts.phases]
        assert ("self_test" in phases) == facts.face.proves


def test_a_face_of_rewards_draws_what_its_run_has() -> None:
    def drawn(**settings: object) -> set[str]:
        return {curve.key for curve in charted(facts_of(GrpoSettings.model_validate(settings)))}

    rewards = [{"kind": "exact"}, {"kind": "format_think"}]
    assert {"reward", "eval_accuracy"} <= drawn()
    assert not drawn() & {"reward_exact", "reference_kl", "clipped_high_share"}
    assert {"reward_exact", "reward_format_think"} <= drawn(rewards=rewards)
    assert "reference_kl" in drawn(beta=0.1)
    assert {"clipped_low_share", "clipped_high_share"} <= drawn(num_iterations=2)


def test_prompt_distillation_generates_only_what_is_learned() -> None:
    by_answers = facts_of(PromptDistillationSettings(training="sft"))
    scored = facts_of(PromptDistillationSettings(training="on_policy"))
    assert by_answers.face.stages == ("generate", "train", "evaluate")
    assert scored.face.stages == ("train", "evaluate")
    assert by_answers.face.report == scored.face.report == "answers"
    assert facts_of(SftSettings()).face.stages == ()


def test_a_training_curve_of_softened_models_says_its_temperature() -> None:
    def labels(temperature: float) -> list[str | None]:
        main = facts_of(DistillationSettings(temperature=temperature)).face.main
        assert main is not None
        return [curve.label for curve in main.metrics]

    held_out = ["Held-out reverse KL", "Held-out reverse KL, off-policy"]
    assert labels(2.0) == ["Training, T = 2", *held_out]
    assert labels(1.5)[0] == "Training, T = 1.5"
    assert labels(1.0) == ["Training", *held_out]
