"""What a config can be refused for is refused when it is read, at the setting that has to change.

Configs are drawn from the settings' own schema, in range and out of it, alone and in pairs that may
contradict each other. One that is read is taken to every object that the trainers make of it.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from OnPolicyDistill.config import RUN_CONFIG, dump_config, parse_config, parse_yaml, settings_of
from OnPolicyDistill.divergences import DIVERGENCES
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.generation.request import GenerationRequest
from OnPolicyDistill.generation.sampling import SamplingSettings
from OnPolicyDistill.losses.grpo import PolicyObjective
from OnPolicyDistill.losses.objective import Objective
from OnPolicyDistill.optim.schedule import learning_rate
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.settings.problems import setting_keys
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.settings.training import OptimizerSettings
from OnPolicyDistill.teacher.cache import TeacherCache
from OnPolicyDistill.teacher.scorer import TargetForm
from OnPolicyDistill.trainers.grpo import learn as grpo
from OnPolicyDistill.training.distillation import objective_of

BLOCKS: dict[str, type[BaseModel]] = {
    "distillation": DistillationSettings,
    "sft": SftSettings,
    "prompt_distillation": PromptDistillationSettings,
    "grpo": GrpoSettings,
    "evaluation": EvaluationSettings,
}
Schema = dict[str, Any]
# Settings that may contradict each other, with values that each are in range.
TOGETHER: dict[str, list[Any]] = {
    "divergence": list(DIVERGENCES),
    "temperature": [1, 2],
    "generation_temperature": [0, 1],
    "top_p": [0.5, 1],
    "kl_weight": [0, 1],
    "ce_weight": [0, 1],
    "on_policy_fraction": [0.5, 1],
    "fixed_rollouts": [False, True],
    "keep_teacher_loaded": [False, True],
    "teacher_cache_size_mb": [0, 64],
    "training": ["on_policy", "sft"],
    "target": ["answer", "reply", "thinking"],
    "loss_type": ["dapo", "cispo"],
    "epsilon_high": [None, 0.3, 5],
    "delta": [None, 2],
    "beta": [0, 0.1],
    "reference": ["base", "start"],
    "rewards": [[{"kind": "exact"}], [{"kind": "length"}], [{"kind": "python"}], []],
    "labels": [None, ["a", "b"], ["a", "a"], []],
    "num_epochs": [None, 0.001, 10_000],
    "warmup_ratio": [None, 0.99],
}


def values_of(shape: Schema, definitions: Schema) -> st.SearchStrategy[Any]:
    """Values of a setting: what its schema allows, its ends, and what lies beyond them."""
    if "anyOf" in shape:
        return st.one_of(*(values_of(option, definitions) for option in shape["anyOf"]))
    if "$ref" in shape:
        return values_of(definitions[shape["$ref"].rpartition("/")[2]], definitions)
    if "enum" in shape or "const" in shape:
        return st.sampled_from([*shape.get("enum", [shape.get("const")]), "other"])
    if shape["type"] == "object":
        inner = {key: values_of(part, definitions) for key, part in shape["properties"].items()}
        needed = {key: inner.pop(key) for key in shape.get("required", ())}
        return st.fixed_dictionaries(needed, optional=inner)
    return plain_values(shape, definitions)


def plain_values(shape: Schema, definitions: Schema) -> st.SearchStrategy[Any]:
    kind = shape["type"]
    if kind == "array":
        return st.lists(values_of(shape["items"], definitions), max_size=3)
    if kind in ("integer", "number"):
        return numbers(shape, whole=kind == "integer")
    if kind == "boolean":
        return st.booleans()
    return st.none() if kind == "null" else st.sampled_from(["", "a", "b", "q_proj", "x y"])


def numbers(shape: Schema, whole: bool) -> st.SearchStrategy[Any]:
    low = shape.get("minimum", shape.get("exclusiveMinimum", 0))
    high = shape.get("maximum", shape.get("exclusiveMaximum", 1e30))
    ends = [low, high, low - 1, high + 1, 1, 2]
    if whole:
        return st.one_of(st.sampled_from(ends), st.integers(int(low), int(high)))
    # Arithmetic on processors' fast path knows no subnormal numbers, so none is drawn.
    near = [low + 1e-12, math.nextafter(high, low), math.inf, math.nan, 0.5]
    within = st.floats(float(low), float(high), allow_subnormal=False)
    return st.one_of(st.sampled_from([*ends, *near]), within)


@st.composite
def drawn(draw: st.DrawFn, block: str) -> dict[str, Any]:
    """A block with values that may contradict each other and, now and then, any other value."""
    schema = BLOCKS[block].model_json_schema()
    fields = schema["properties"]
    near = {key: st.sampled_from(TOGETHER[key]) for key in fields if key in TOGETHER}
    values = draw(st.fixed_dictionaries({}, optional=near))
    for key in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2, unique=True)):
        values[key] = draw(values_of(fields[key], schema.get("$defs", {})))
    return values


def make_everything(block: BaseModel, num_rows: int) -> None:
    """Construct what the trainers construct of a block, with the smallest of prompts."""
    if isinstance(block, OptimizerSettings):
        settled = block.settled(num_rows)
        for step in (1, settled.num_steps):
            assert 0 < learning_rate(settled, step) <= settled.learning_rate or (
                settled.schedule_min_ratio == 0
            )
        assert 0 < settled.highest_share <= 1
    if isinstance(block, DistillationSettings):
        make_loss_and_teacher(block.settled(num_rows))
        request(SamplingSettings(block.generation_temperature, block.top_p), block)
    if isinstance(block, PromptDistillationSettings):
        request(SamplingSettings(block.teacher_temperature), block)
        if block.training == "on_policy":
            make_loss_and_teacher(block.as_distillation().settled(num_rows))
    if isinstance(block, GrpoSettings):
        request(SamplingSettings(block.temperature), block)
        assert isinstance(grpo.objective_of(block), PolicyObjective)
        assert block.grading_kind in {reward.kind for reward in block.rewards}
    if isinstance(block, EvaluationSettings):
        SamplingSettings(block.temperature)


def make_loss_and_teacher(block: DistillationSettings) -> None:
    assert isinstance(objective_of(block), Objective)
    TargetForm(block.teacher_targets, min(block.top_k, 9), block.temperature)
    TeacherCache(block.teacher_cache_size_mb * 1_000_000)
    assert block.lora.alpha / block.lora.rank > 0


def request(sampling: SamplingSettings, block: OptimizerSettings) -> GenerationRequest:
    return GenerationRequest(
        [(1, 2)], [0], frozenset({3}), 9, 1, sampling, max_rows=block.batch_size
    )


@pytest.mark.parametrize("block", BLOCKS)
@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(data=st.data(), num_rows=st.sampled_from([1, 7, 100_000]))
def test_a_config_is_refused_at_a_setting_or_everything_can_be_made_of_it(
    block: str, data: st.DataObject, num_rows: int
) -> None:
    values = data.draw(drawn(block))
    keys = set(setting_keys(BLOCKS[block], f"{block}."))
    refused: tuple[tuple[str, str], ...] = ()
    try:
        config = parse_config({block: values})
    except ConfigError as error:
        refused = error.locations or (("", ""),)
    else:
        make_everything(settings_of(config), num_rows)
        assert parse_config(parse_yaml(dump_config(config), "dump")) == config
    for place, reason in refused:
        named = ".".join(part for part in place.split(".") if not part.isdigit())
        assert named in keys or named.startswith(f"{block}.variants."), place
        assert reason


SCORED = {"training": "on_policy"}


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ({"distillation": {"kl_weight": 0, "ce_weight": 0}}, ["distillation.kl_weight"]),
        (
            {"distillation": {"divergence": "sampled_reverse_kl", "top_p": 0.5}},
            ["distillation.temperature", "distillation.top_p"],
        ),
        (
            {
                "prompt_distillation": {
                    **SCORED,
                    "divergence": "sampled_reverse_kl",
                    "temperature": 2,
                }
            },
            ["prompt_distillation.temperature"],
        ),
        (
            {"prompt_distillation": {**SCORED, "kl_weight": 0}},
            ["prompt_distillation.kl_weight"],
        ),
        ({"prompt_distillation": {**SCORED, "target": "thinking"}}, ["prompt_distillation.target"]),
        ({"prompt_distillation": {"labels": []}}, ["prompt_distillation.labels"]),
        ({"sft": {"lora": {"targets": ["q_proj", " "]}}}, ["sft.lora.targets.1"]),
        ({"sft": {"warmup_steps": 10**400}}, ["sft.warmup_steps"]),
        (
            {"evaluation": {"variants": [{"name": "a", "model": "m"}] * 2}},
            ["evaluation.variants.1.name"],
        ),
        ({"evaluation": {"teacher": "nobody"}}, ["evaluation.teacher"]),
    ],
)
def test_a_contradiction_names_the_setting_to_change(
    values: dict[str, object], places: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(values)
    assert [place for place, _ in caught.value.locations] == places


def test_what_another_training_would_refuse_is_not_refused() -> None:
    ignored = {"divergence": "sampled_reverse_kl", "temperature": 2, "kl_weight": 0}
    RUN_CONFIG.validate_python(
        {"method": "prompt_distillation", "prompt_distillation": {"training": "sft", **ignored}}
    )


def test_the_training_of_prompt_distillation_has_every_setting_that_both_have() -> None:
    given_values = {
        "training": "on_policy",
        "divergence": "jsd",
        "teacher_weight": 0.25,
        "temperature": 1.5,
        "max_answer_tokens": 7,
        "student_adapter": "folder",
        "lora": {"rank": 3},
        "num_steps": 9,
        "warmup_ratio": 0.5,
    }
    own = PromptDistillationSettings.model_validate(given_values)
    derived = own.as_distillation()
    shared = DistillationSettings.model_fields.keys() & PromptDistillationSettings.model_fields
    assert {"teacher_weight", "student_adapter", "lora", "seed", "mixed_precision"} <= shared
    mine, theirs = own.model_dump(include=shared), derived.model_dump(include=shared)
    assert mine == theirs
    assert derived.max_generation_tokens == 7
    assert objective_of(derived).teacher_weight == 0.25
