"""The settings of a run that name models, and which of them names one that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

from OnPolicyDistill.config import EvaluationConfig, RunConfig, settings_of
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.methods import FACTS, facts_of, scoring_models_of
from OnPolicyDistill.planning.architectures import Asked
from OnPolicyDistill.planning.models import describe_model


def named_models(config: RunConfig) -> Iterator[tuple[str, str, tuple[Asked, ...]]]:
    """Fields that name models, with the names, and what is asked of the model."""
    if isinstance(config, EvaluationConfig):
        for number, variant in enumerate(config.evaluation.variants):
            yield f"evaluation.variants.{number}.model", variant.model, ()
        return
    facts = facts_of(settings_of(config))
    # The proof of learning asks that sampled and scored logprobs agree.
    samples = any(words.phase == "self_test" for words in facts.phases)
    learning: tuple[Asked, ...] = ("train", "sample") if samples else ("train",)
    named = settings_of(config).model_dump()
    scoring = scoring_models_of(settings_of(config))
    for key, name in (scoring or {}).items():
        yield f"{facts.block}.{key}", name, ()
    for model in facts.models:
        if model.role == "tower" or (model.role == "teacher" and scoring is not None):
            continue
        if isinstance(named[model.key], str):
            asked = learning if model.role == "student" else ()
            yield f"{facts.block}.{model.key}", named[model.key], asked


def fields_at_fault(config: RunConfig) -> str:
    """The settings whose model is unknown or damaged, as one finding names several.

    Where each model is fine by itself, what is wrong is about all of them.
    """
    named = {field: model for field, model, _ in named_models(config)}
    found = [field for field, model in named.items() if not _is_usable(model)]
    return ", ".join(found or sorted({*named, *_all_fields(config)}))


def _is_usable(model: str) -> bool:
    try:
        describe_model(model)
    except ModelError:
        return False
    return True


def _all_fields(config: RunConfig) -> Iterator[str]:
    if not isinstance(config, EvaluationConfig):
        facts = FACTS[config.method]
        yield from (f"{facts.block}.{model.key}" for model in facts.models)
