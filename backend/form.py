"""What a form shows for each setting: title, help, unit, range, choices and where it belongs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Literal

from pydantic import Field, JsonValue, TypeAdapter

from backend.history.views import View
from OnPolicyDistill.methods import ALL_FACTS, FILE_KEYS, MODEL_KEYS
from OnPolicyDistill.settings.strict import Settings

Kind = Literal[
    "integer", "number", "boolean", "text", "choice", "list", "model", "file", "folder", "rewards",
    "teachers",
]  # fmt: skip
Group = Literal[
    "models",
    "data",
    "objective",
    "sampling",
    "teacher",
    "adapter",
    "optimizer",
    "memory",
    "evaluation",
    "run",
    "other",
]
Schema = dict[str, JsonValue]

# Setting -> group, unit; an asterisk marks what a form hides behind "advanced".
PLACES: dict[str, tuple[Group, str]] = {
    "teacher_model": ("models", ""),
    "student_model": ("models", ""),
    "model": ("models", ""),
    "student_adapter": ("models", "*"),
    "teacher_adapter": ("models", "*"),
    "prompts": ("data", ""),
    "teacher_prompt": ("data", ""),
    "inputs": ("data", ""),
    "validation_inputs": ("data", ""),
    "grading": ("evaluation", "*"),
    "labels": ("data", ""),
    "answer_prefix": ("data", "*"),
    "thinking": ("data", "*"),
    "length_buckets": ("optimizer", "*"),
    "generated_from": ("data", "*"),
    "target": ("objective", ""),
    "training": ("objective", ""),
    "teacher_temperature": ("sampling", ""),
    "num_samples": ("sampling", "samples"),
    "acceptance": ("sampling", ""),
    "max_retries": ("sampling", "tries*"),
    "max_thinking_tokens": ("sampling", "tokens"),
    "max_answer_tokens": ("sampling", "tokens"),
    "max_inputs": ("data", "inputs*"),
    "eval_inputs": ("evaluation", "inputs*"),
    "variants": ("models", ""),
    "teacher": ("evaluation", "*"),
    "max_samples": ("evaluation", "items"),
    "conversations": ("data", ""),
    "validation_source": ("data", "*"),
    "validation_prompts": ("data", ""),
    "validation_conversations": ("data", ""),
    "max_prompt_tokens": ("data", "tokens*"),
    "max_length": ("data", "tokens"),
    "temperature": ("objective", ""),
    "kl_weight": ("objective", ""),
    "ce_weight": ("objective", ""),
    "divergence": ("objective", ""),
    "teacher_weight": ("objective", "*"),
    "on_policy_fraction": ("objective", "share*"),
    "fixed_rollouts": ("objective", "*"),
    "max_generation_tokens": ("sampling", "tokens"),
    "generation_temperature": ("sampling", "*"),
    "top_p": ("sampling", "share*"),
    "logprob_method": ("sampling", "*"),
    "teacher_targets": ("teacher", "*"),
    "top_k": ("teacher", "tokens*"),
    "teacher_cache_size_mb": ("teacher", "MB"),
    "keep_teacher_loaded": ("teacher", ""),
    "teacher_cache_dir": ("teacher", "*"),
    "teacher_cache_dir_mb": ("teacher", "MB*"),
    "teacher_cache_precision": ("teacher", "*"),
    "teacher_shards": ("teacher", "ranks*"),
    "teacher_endpoint.url": ("teacher", "*"),
    "teacher_endpoint.model": ("teacher", "*"),
    "teacher_endpoint.server": ("teacher", "*"),
    "teacher_endpoint.key_env": ("teacher", "*"),
    "teacher_endpoint.top_k": ("teacher", "tokens*"),
    "teacher_endpoint.timeout_s": ("teacher", "seconds*"),
    "teacher_endpoint.retries": ("teacher", "times*"),
    "teacher_endpoint.in_flight": ("teacher", "requests*"),
    "rank": ("adapter", ""),
    "alpha": ("adapter", ""),
    "dropout": ("adapter", "share*"),
    "layers": ("adapter", "layers*"),
    "targets": ("adapter", "*"),
    "experts": ("adapter", "*"),
    "instruction": ("data", ""),
    "vision_model": ("models", ""),
    "language_model": ("models", ""),
    "grafted_model": ("models", "*"),
    "projector": ("objective", ""),
    "projector_start": ("objective", "*"),
    "picture_size": ("data", "pixels*"),
    "vision_markers": ("data", "*"),
    "eval_conversations": ("evaluation", "conversations*"),
    "thinking_prompts": ("evaluation", "questions"),
    "min_pixels": ("data", "pixels*"),
    "max_pixels": ("data", "pixels"),
    "max_pictures": ("data", "pictures*"),
    "picture_cache_mb": ("memory", "MB"),
    "controls": ("evaluation", ""),
    "control_prompts": ("evaluation", "prompts*"),
    "num_steps": ("optimizer", "steps"),
    "num_epochs": ("optimizer", "epochs"),
    "batch_size": ("optimizer", "rows"),
    "gradient_accumulation_steps": ("optimizer", "micro-batches"),
    "learning_rate": ("optimizer", ""),
    "schedule": ("optimizer", "*"),
    "schedule_min_ratio": ("optimizer", "share*"),
    "warmup_steps": ("optimizer", "steps*"),
    "warmup_ratio": ("optimizer", "share*"),
    "weight_decay": ("optimizer", "*"),
    "max_grad_norm": ("optimizer", "*"),
    "grad_checkpoint": ("memory", ""),
    "mixed_precision": ("memory", "*"),
    "checkpoint_every": ("run", "steps"),
    "checkpoint_minutes": ("run", "minutes*"),
    "keep_checkpoints": ("run", "checkpoints*"),
    "eval_every": ("evaluation", "steps"),
    "eval_fraction": ("evaluation", "share*"),
    "eval_prompts": ("evaluation", "prompts*"),
    "early_stop_patience": ("evaluation", "evaluations*"),
    "best_of_equals": ("evaluation", "*"),
    "rewards": ("objective", ""),
    "num_completions": ("sampling", "completions"),
    "loss_type": ("objective", "*"),
    "importance_sampling_level": ("objective", "*"),
    "scale_rewards": ("objective", "*"),
    "epsilon": ("objective", "*"),
    "epsilon_high": ("objective", "*"),
    "delta": ("objective", "*"),
    "beta": ("objective", ""),
    "reference": ("objective", "*"),
    "num_iterations": ("optimizer", "updates*"),
    "mask_truncated": ("objective", "*"),
    "skip_dead_groups": ("objective", "*"),
    "shuffle_rewards": ("objective", "*"),
    "max_resamples": ("sampling", "times*"),
    "seed": ("run", "*"),
    "run_name": ("run", ""),
    "tensorboard": ("run", "*"),
    "wandb": ("run", "*"),
    "wandb_entity": ("run", "*"),
    "trackio": ("run", "*"),
    "trackio_space": ("run", "*"),
    "project": ("run", "*"),
    "loss_tokens": ("objective", "*"),
    "rollout_reuse": ("optimizer", "steps*"),
    "teachers": ("models", "*"),
    "teacher_order": ("models", "*"),
    "teachers.name": ("models", ""),
    "teachers.model": ("models", ""),
    "student_copy.refresh_every": ("models", "steps"),
}
SPECIAL_KINDS: dict[str, Kind] = {
    **dict.fromkeys(MODEL_KEYS, "model"),
    **dict.fromkeys(FILE_KEYS, "file"),
    "student_adapter": "folder",
    "teacher_adapter": "folder",
    "rewards": "rewards",
    "grafted_model": "folder",
    "teacher_cache_dir": "folder",
    "teachers": "teachers",
    "teachers.model": "model",
}
# A method that inherits a setting and refuses every value but the default.
NOT_IN_FORMS = ("vlm_distillation.teachers", "vlm_distillation.teacher_order")
KINDS: Mapping[str, Kind] = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "array": "list",
    "string": "text",
}


class FormField(View):
    """One setting as a form shows it; ranges include their ends unless said otherwise."""

    key: str = Field(description="Dotted, as in a config: distillation.lora.rank.")
    title: str
    help: str
    kind: Kind
    group: Group
    unit: str
    advanced: bool
    nullable: bool = Field(description="May be left empty.")
    default: JsonValue
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = Field(None, description="The value has to be larger than this.")
    below: float | None = Field(None, description="The value has to be smaller than this.")
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    parts: tuple[FormField, ...] = Field((), description="Of each entry of a list of settings.")


@cache
def form_fields() -> tuple[FormField, ...]:
    """Return every setting of every method, in the order of the config."""
    return tuple(
        field for facts in ALL_FACTS for field in _fields(facts.block, _schema_of(facts.settings))
    )


def _schema_of(settings: type[Settings]) -> Schema:
    """The schema with each setting's default as it is now, also where it is made anew."""
    schema = TypeAdapter(Schema).validate_python(settings.model_json_schema())
    defaults = settings().model_dump(mode="json")
    for name, fragment in _mapping(schema["properties"]).items():
        _mapping(fragment)["default"] = defaults[name]
    return schema


def _fields(prefix: str, schema: Schema) -> Iterator[FormField]:
    """A schema's settings; those of a part of it are settings of their own, with dotted keys."""
    definitions = _mapping(schema.get("$defs", {}))
    for name, fragment in _mapping(schema["properties"]).items():
        key = f"{prefix}.{name}"
        if key in NOT_IN_FORMS:
            continue
        about = _mapping(fragment)
        shape, nullable = _shape(about, definitions)
        inner = shape.get("properties")
        if inner is None:
            field = _field(key, {**shape, **about}, shape, nullable)
            yield field.model_copy(update={"parts": _parts(field, shape, definitions)})
            continue
        defaults = about.get("default")
        for name_within, nested in _mapping(inner).items():
            part = _mapping(nested)
            if isinstance(defaults, dict):
                part = {**part, "default": defaults[name_within]}
            nested_shape, nested_nullable = _shape(part, definitions)
            about_part = {**nested_shape, **part}
            yield _field(f"{key}.{name_within}", about_part, nested_shape, nested_nullable)


def _parts(field: FormField, shape: Schema, definitions: Schema) -> tuple[FormField, ...]:
    """The settings of each entry of a list that a form edits entry by entry."""
    if field.kind != "teachers":
        return ()
    entry, _ = _shape(_mapping(shape["items"]), definitions)
    return tuple(_fields(field.key, {**entry, "$defs": definitions}))


def _shape(about: Schema, definitions: Schema) -> tuple[Schema, bool]:
    """The part of a fragment that has type and range, and whether null is allowed beside it."""
    options = about.get("anyOf")
    if isinstance(options, list):
        shapes = [_mapping(option) for option in options]
        real = next(shape for shape in shapes if shape.get("type") != "null")
        return _shape(real, definitions)[0], len(shapes) > 1
    reference = about.get("$ref")
    if isinstance(reference, str):
        return _mapping(definitions[reference.rpartition("/")[2]]), False
    return about, False


def _field(key: str, about: Schema, shape: Schema, nullable: bool) -> FormField:
    name = place_of(key)
    group, unit = PLACES.get(name, ("other", ""))
    choices = shape.get("enum", [shape["const"]] if "const" in shape else [])
    kind = SPECIAL_KINDS.get(name, KINDS[str(shape.get("type", "string"))])
    return FormField(
        key=key,
        title=str(about["title"]),
        help=str(about.get("description", "")),
        kind="choice" if choices else kind,
        group=group,
        unit=unit.removesuffix("*"),
        advanced=unit.endswith("*"),
        nullable=nullable,
        default=about.get("default"),
        minimum=_number(shape, "minimum"),
        maximum=_number(shape, "maximum"),
        above=_number(shape, "exclusiveMinimum"),
        below=_number(shape, "exclusiveMaximum"),
        max_length=_count(shape, "maxLength"),
        choices=tuple(map(str, choices)) if isinstance(choices, list) else (),
    )


def place_of(key: str) -> str:
    """A setting's name in PLACES: with the name of its part where that has a place of its own.

    The endpoint of one of several teachers is set as that of the only one.
    """
    inner = ".".join(key.split(".")[-2:])
    return next(
        (name for name in (inner, f"teacher_{inner}") if name in PLACES), key.rpartition(".")[2]
    )


def _number(shape: Schema, key: str) -> float | None:
    value = shape.get(key)
    return float(value) if isinstance(value, int | float) else None


def _count(shape: Schema, key: str) -> int | None:
    value = shape.get(key)
    return value if isinstance(value, int) else None


def _mapping(value: JsonValue) -> Schema:
    assert isinstance(value, dict)
    return value
