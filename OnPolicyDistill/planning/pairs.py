"""What a machine can do: pairs of known models by the length of completions, each with its outlook.

Pairs speak the same tokens and think alike, as far as the registry knows, and the teacher is larger
by enough to teach and by not too much to be followed. A pair is looked at in the most exact forms
that fit: the teacher is packed before the student, which has to learn.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from OnPolicyDistill.config import RunConfig, settings_of
from OnPolicyDistill.errors import InputError
from OnPolicyDistill.methods import FACTS
from OnPolicyDistill.planning.architectures import sampling_reason, training_reason
from OnPolicyDistill.planning.dimensions import num_parameters, parse_dimensions, weight_bytes
from OnPolicyDistill.planning.memory import RUNTIME_BYTES
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.planning.outlook import Ground, Outlook, best_look, survey, with_settings
from OnPolicyDistill.planning.precision import (
    known_form_config,
    precision_of_folder,
    stored_precision,
)
from OnPolicyDistill.registry import Form, KnownModel, all_models, find_model, local_folder
from OnPolicyDistill.settings.sight import SightSettings
from OnPolicyDistill.settings.training import OptimizerSettings

LENGTHS = (256, 512, 1024, 2048, 4096)
MOST_LENGTHS = 8
# From half as large again to twenty times: below, there is little to learn; above, pairs that are
# published are rare, and nothing here was measured.
LEAST_RATIO, MOST_RATIO = 1.5, 20.0
# What most conversions come in, most exact first.
FORMS: tuple[Form, ...] = ("bf16", "8bit", "4bit")

_LENGTH = "max_generation_tokens"


class MappedModel(BaseModel):
    """A model of a pair, in the form that was chosen for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="What a config calls it.")
    alias: str
    family: str
    precision: str = Field(description="How its weights are stored, as 4 bit.")
    parameters: int
    weights_gb: float
    is_here: bool = Field(description="Whether it is on this machine in this form.")


class MappedPair(BaseModel):
    """A pair with an outlook for each length."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    student: MappedModel
    teacher: MappedModel
    outlooks: tuple[Outlook, ...]


class PairMap(BaseModel):
    """Pairs by completion length, those on this machine first, then by the teacher's size."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lengths: tuple[int, ...]
    pairs: tuple[MappedPair, ...]
    chip: str
    limit_gb: float = Field(description="What a run may use, in GB of 1e9 bytes.")
    num_steps: int
    rows_per_step: int
    prompts: str = Field(description="Where the length of prompts comes from.")


def map_pairs(
    config: RunConfig,
    lengths: Sequence[int],
    here: Collection[str],
    memory_gb: float | None = None,
    workspace: Path | None = None,
) -> PairMap:
    """Look at every likely pair with the settings of a run, for each completion length.

    `here` has names of models on this machine, as configs call them. The machine is this one
    unless its memory is given, as its maker names it.

    Raises:
        InputError: the method has no pair that is asked for completions.
        DatasetError: a prompt file cannot be read.
    """
    settings, models = settings_of(config), FACTS[config.method].models
    has_pair = {model.role for model in models} == {"student", "teacher"}
    if not (
        has_pair and isinstance(settings, OptimizerSettings) and _LENGTH in settings.model_dump()
    ):
        raise InputError(
            f"{config.method} is not planned by pairs.", "Ask for on-policy distillation."
        )
    ground = survey(config, memory_gb, workspace=workspace)
    pairs = [
        _mapped(config, ground, forms, sorted(lengths), here)
        for forms in likely_pairs(isinstance(settings, SightSettings), here)
    ]
    settled = settings.settled(ground.prompts.num_prompts)
    return PairMap(
        lengths=tuple(sorted(lengths)),
        pairs=tuple(sorted(pairs, key=_order)),
        chip=ground.here.chip.name,
        limit_gb=round(ground.here.limit / 1e9, 2),
        num_steps=settled.num_steps,
        rows_per_step=settled.rows_per_step,
        prompts=ground.prompts.source,
    )


def likely_pairs(
    sees: bool, here: Collection[str]
) -> Iterator[list[tuple[KnownModel, KnownModel]]]:
    """Yield each pair of known models as its forms (student, teacher), most exact first."""
    models = [model for model in all_models() if model.config and model.vision == sees]
    sized = [(model, _sizes(model.name)[0]) for model in models if model.instruct]
    for teacher, teaching in sized:
        for student, learning in sized:
            ratio = teaching / learning
            if LEAST_RATIO <= ratio <= MOST_RATIO and _go_together(student, teacher):
                yield _in_forms(student, teacher, here)


def _go_together(student: KnownModel, teacher: KnownModel) -> bool:
    is_able = training_reason(student.family) is None and sampling_reason(student.family) is None
    return (
        is_able
        and student.chat.tokenizer == teacher.chat.tokenizer
        and student.chat.thinking == teacher.chat.thinking
    )


def _in_forms(
    student: KnownModel, teacher: KnownModel, here: Collection[str]
) -> list[tuple[KnownModel, KnownModel]]:
    students, teachers = _forms(student, here), _forms(teacher, here)
    exact = [(students[0], form) for form in teachers]
    return [*exact, *((form, teachers[-1]) for form in students[1:])]


def _forms(model: KnownModel, here: Collection[str]) -> list[KnownModel]:
    """Forms of a model, most exact first: those on this machine alone, where there are any."""
    wanted = [form for form in FORMS if form in model.forms or not model.forms]
    names = [model.alias if form == "bf16" else f"{model.alias}-{form}" for form in wanted]
    found = [form for form in map(find_model, names) if form is not None] or [model]
    distinct = list({form.name: form for form in found}.values())
    return [form for form in distinct if form.name in here] or distinct


def _mapped(
    config: RunConfig,
    ground: Ground,
    forms: list[tuple[KnownModel, KnownModel]],
    lengths: Sequence[int],
    here: Collection[str],
) -> MappedPair:
    """The pair in the first forms that fit at the shortest length, else in its smallest."""
    for student, teacher in forms:
        is_last = (student, teacher) == forms[-1]
        weights = _sizes(student.name)[1] + _sizes(teacher.name)[1] + RUNTIME_BYTES
        if weights > ground.here.limit and not is_last:
            continue
        names: dict[str, JsonValue] = {"student_model": student.name, "teacher_model": teacher.name}
        outlooks = list(_by_length(with_settings(config, names), ground, lengths))
        if outlooks[0].verdict != "does_not_fit" or is_last:
            break
    return MappedPair(
        student=_described(student, here),
        teacher=_described(teacher, here),
        outlooks=tuple(outlooks),
    )


def _by_length(config: RunConfig, ground: Ground, lengths: Sequence[int]) -> Iterator[Outlook]:
    """Outlooks for lengths that rise; what a shorter one needs to fit, a longer one does too."""
    kept: dict[str, JsonValue] = {}
    for length in lengths:
        changed = with_settings(config, {**kept, _LENGTH: length})
        found = best_look(changed, ground)
        kept = {**kept, **found.changes}
        yield found.model_copy(update={"changes": kept})


def _described(model: KnownModel, here: Collection[str]) -> MappedModel:
    facts, folder = describe_model(model.name), local_folder(model.name)
    stored = (
        stored_precision(known_form_config(model), {})
        if folder is None
        else precision_of_folder(folder)
    )
    return MappedModel(
        name=model.name,
        alias=model.alias,
        family=model.family,
        precision=stored.words,
        parameters=facts.num_parameters,
        weights_gb=round(facts.loaded_bytes / 1e9, 6),
        is_here=model.name in here,
    )


@cache
def _sizes(name: str) -> tuple[int, int]:
    """Parameters and bytes of a known model's weights by its dimensions."""
    model = find_model(name)
    assert model is not None
    dimensions = parse_dimensions(known_form_config(model), name)
    return num_parameters(dimensions), weight_bytes(dimensions)


def _order(pair: MappedPair) -> tuple[bool, int, int]:
    is_away = not (pair.student.is_here and pair.teacher.is_here)
    return is_away, -pair.teacher.parameters, -pair.student.parameters
