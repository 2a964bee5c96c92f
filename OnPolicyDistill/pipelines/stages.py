"""From a pipeline's settings to the runs that it is made of, each with every setting.

The comparison at the end is made of runs as well: each variant answers the held-out items in an
evaluation of its own, so that its seconds and its memory are its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from OnPolicyDistill.config import (
    BLOCK_OF_METHOD,
    METHOD_OF_BLOCK,
    EvaluationConfig,
    RunConfig,
    parse_config,
    settings_of,
    with_overrides,
)
from OnPolicyDistill.errors import ConfigError
from OnPolicyDistill.methods import FACTS, RunKind
from OnPolicyDistill.pipelines.reading import Source
from OnPolicyDistill.presets import absolute_path, read_preset, with_absolute_paths
from OnPolicyDistill.settings.pipeline import (
    COMPARED,
    ComparedSettings,
    CompareSettings,
    PipelineSettings,
    StageMethod,
    StageSettings,
)

ADAPTER = "student_adapter"
MAX_RUN_NAME = 120
STAGE_METHODS: tuple[StageMethod, ...] = get_args(StageMethod)
Values = dict[str, object]


@dataclass(frozen=True, slots=True)
class Stage:
    """A run to make: its config but for the adapter, which the stage `start` hands on.

    `variant` is what the table calls the one that answers here, of a run of the comparison.
    """

    name: str
    config: RunConfig
    start: str | None = None
    variant: str | None = None

    def settled(self, adapter: Path | None) -> RunConfig:
        """The config with the adapter that this stage goes on from."""
        if adapter is None:
            return self.config
        block = BLOCK_OF_METHOD[self.config.method]
        values: Values = self.config.model_dump()
        if isinstance(self.config, EvaluationConfig):
            (variant,) = self.config.evaluation.variants
            changed = {**variant.model_dump(), "adapter": str(adapter)}
            return parse_config(with_overrides(values, {f"{block}.variants": [changed]}))
        return parse_config(with_overrides(values, {f"{block}.{ADAPTER}": str(adapter)}))


def settle(settings: PipelineSettings, source: Source) -> PipelineSettings:
    """Return the pipeline with every setting of every stage, so that no other file decides.

    Raises:
        ConfigError: a stage's settings are wrong, or do not go together; names file and line.
    """
    models: dict[str, str] = {}
    stages = []
    for place, stage in enumerate(settings.stages):
        where = f"{source.place('stages', place)}, stage {stage.name}"
        config = _config_of(stage, models, where)
        if config.method != "evaluation":
            models[stage.name] = student_of(config)
            _refuse_whole_models(config, where)
        stages.append(_written_out(stage, config))
    if settings.compare is not None:
        _refuse_untrained(settings.compare, models, source)
    compare = None if settings.compare is None else _with_paths(settings.compare)
    return settings.model_copy(update={"stages": tuple(stages), "compare": compare})


def stages_of(settings: PipelineSettings) -> tuple[Stage, ...]:
    """The runs of a settled pipeline in their order, those of the comparison last."""
    stages = [_stage(stage, settings.name) for stage in settings.stages]
    models = {
        stage.name: student_of(stage.config)
        for stage in stages
        if stage.config.method != "evaluation"
    }
    if settings.compare is not None:
        stages += [
            _answering(variant, settings.compare, models, settings.name)
            for variant in settings.compare.variants
        ]
    return tuple(stages)


def student_of(config: RunConfig) -> str:
    """The model that learns in a run that trains."""
    return str(settings_of(config).model_dump()[_student_key(config.method)])


def _student_key(method: RunKind) -> str:
    return next(model.key for model in FACTS[method].models if model.role == "student")


def _config_of(stage: StageSettings, models: Mapping[str, str], where: str) -> RunConfig:
    """A stage's config with what its start decides.

    Raises:
        ConfigError: see `settle`.
    """
    values: Values = {"method": stage.method}
    if stage.config is not None:
        values = _of_file(stage, where)
    elif stage.method is None:
        raise ConfigError(f"{where}: it has neither a method nor a config.", "Name one of them.")
    if values["method"] not in STAGE_METHODS:
        known = ", ".join(STAGE_METHODS)
        raise ConfigError(
            f"{where}: {values['method']} is no method of a stage.", f"Stages are of: {known}."
        )
    block = BLOCK_OF_METHOD[str(values["method"])]
    values = with_overrides(values, dict(_flat(block, stage.settings)))
    if stage.start is not None:
        values = _going_on(values, block, stage.start, models, where)
    return with_absolute_paths(parse_config(values, where))


def _flat(prefix: str, settings: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    """Settings by dotted keys: a group of settings changes those that it names, and no other."""
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            yield from _flat(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", value


def _of_file(stage: StageSettings, where: str) -> Values:
    assert stage.config is not None
    try:
        values = read_preset(Path(stage.config))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}", error.action) from error
    named = values.get("method")
    if named is None:
        named = next((METHOD_OF_BLOCK[key] for key in values if key in METHOD_OF_BLOCK), None)
    if stage.method is not None and named != stage.method:
        raise ConfigError(
            f"{where}: {stage.config} is of method {named}, not {stage.method}.",
            "Leave one of the two out.",
        )
    return {**values, "method": named}


def _going_on(
    values: Values, block: str, start: str, models: Mapping[str, str], where: str
) -> Values:
    """Take the model of the stage that this one goes on from.

    Raises:
        ConfigError: that one trains nothing, or this one names another model or adapter.
    """
    if start not in models:
        raise ConfigError(
            f"{where}: {start} trains nothing, so there is no adapter to go on from.",
            "Name a stage that trains.",
        )
    model, inner = models[start], values.get(block)
    own = dict(inner) if isinstance(inner, dict) else {}
    if values["method"] == "evaluation":
        variants = [_asked(own.get("variants"), start, model, where)]
        return with_overrides(values, {f"{block}.variants": variants})
    key = _student_key(METHOD_OF_BLOCK[block])
    named = own.get(key)
    if isinstance(named, str) and absolute_path(named, is_model=True) != model:
        raise ConfigError(
            f"{where}: it trains {named}, and {start}, which it goes on from, trains {model}.",
            "An adapter belongs to one model: name the same, or leave it out.",
        )
    if own.get(ADAPTER) is not None:
        message = f"{where}: it names an adapter, and a stage to go on from as well."
        raise ConfigError(message, "Leave one of the two out.")
    return with_overrides(values, {f"{block}.{key}": model})


def _asked(given: object, start: str, model: str, where: str) -> Values:
    """The one variant of an evaluation that goes on from a stage; a file may say how it is asked.

    Raises:
        ConfigError: the file names several, an adapter, or another model.
    """
    own: Values = {}
    if isinstance(given, list | tuple) and given:
        own = dict(given[0]) if len(given) == 1 and isinstance(given[0], dict) else {"adapter": ""}
    named = own.get("model", model)
    if own.get("adapter") is not None or absolute_path(str(named), is_model=True) != model:
        raise ConfigError(
            f"{where}: only the adapter of {start} answers here, on {model}.",
            "Leave its variants out, or compare several under compare.",
        )
    return {"name": start, **own, "model": model}


def _refuse_whole_models(config: RunConfig, where: str) -> None:
    """Refuse a stage that trains every weight: what it leaves is no adapter to hand on."""
    if settings_of(config).model_dump()["lora"] is None:
        raise ConfigError(
            f"{where}: it trains every weight, and stages hand adapters on.",
            "Give it lora, or train it apart and name its folder as a model.",
        )


def _refuse_untrained(compare: CompareSettings, models: Mapping[str, str], source: Source) -> None:
    for place, variant in enumerate(compare.variants):
        if variant.stage is not None and variant.stage not in models:
            where = source.place("compare", "variants", place)
            message = f"{where}: {variant.stage} trains nothing, so nothing of it can answer."
            raise ConfigError(message, "Name a stage that trains.")


def _written_out(stage: StageSettings, config: RunConfig) -> StageSettings:
    return StageSettings.model_validate(
        {
            "name": stage.name,
            "method": config.method,
            "settings": settings_of(config).model_dump(mode="json"),
            "start": stage.start,
        }
    )


def _with_paths(compare: CompareSettings) -> CompareSettings:
    """The comparison with paths that hold from anywhere, and titles that no path changes."""
    variants = tuple(
        variant.model_copy(
            update={
                "name": variant.title,
                "model": _absolute(variant.model, is_model=True),
                "prompt": _absolute(variant.prompt),
            }
        )
        for variant in compare.variants
    )
    inputs = absolute_path(compare.inputs)
    return compare.model_copy(update={"variants": variants, "inputs": inputs})


def _absolute(text: str | None, is_model: bool = False) -> str | None:
    return None if text is None else absolute_path(text, is_model)


def _stage(stage: StageSettings, pipeline: str) -> Stage:
    """A settled stage as a run, which is called after the pipeline unless it has a name."""
    assert stage.method is not None, "the stage is settled"
    block = BLOCK_OF_METHOD[stage.method]
    name = stage.settings.get("run_name") or f"{pipeline}: {stage.name}"[:MAX_RUN_NAME]
    values = {"method": stage.method, block: {**stage.settings, "run_name": name}}
    return Stage(stage.name, parse_config(values, f"stage {stage.name}"), stage.start)


def _answering(
    variant: ComparedSettings, compare: CompareSettings, models: Mapping[str, str], pipeline: str
) -> Stage:
    """The evaluation in which a variant answers."""
    model = models[variant.stage] if variant.stage is not None else variant.model
    shared = compare.model_dump(exclude={"variants", "baselines", "max_answer_tokens"})
    answers = {
        "name": variant.title,
        "model": model,
        "prompt": variant.prompt,
        "max_answer_tokens": compare.max_answer_tokens,
    }
    settings = {
        **shared,
        "variants": [answers],
        "run_name": f"{pipeline}: answers of {variant.title}"[:MAX_RUN_NAME],
    }
    config = parse_config({"method": "evaluation", "evaluation": settings}, "compare")
    return Stage(f"{COMPARED}{variant.title}", config, variant.stage, variant.title)
