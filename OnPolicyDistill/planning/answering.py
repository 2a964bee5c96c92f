"""The stages of a run in which a model answers a list of inputs once: teachers, and evaluations.

Each is a workload of its own that learns nothing. Answers are taken to run to their limit, and a
shared system prompt to be read again for every batch of rows, which is the worst of both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import assert_never

from OnPolicyDistill.config import (
    EvaluationConfig,
    GrpoConfig,
    OnPolicyConfig,
    ProjectorConfig,
    PromptDistillationConfig,
    RunConfig,
    SftConfig,
    VlmDistillationConfig,
)
from OnPolicyDistill.datasets.labelled import LabelledItem, read_items
from OnPolicyDistill.datasets.linter import CHARACTERS_PER_TOKEN
from OnPolicyDistill.datasets.picture_prompts import unread_picture
from OnPolicyDistill.datasets.set_files import is_set, set_files
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.pictures import Sight
from OnPolicyDistill.planning.chips import Chip
from OnPolicyDistill.planning.grafts import grafted_facts
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.planning.sight import common_sight, largest_picture
from OnPolicyDistill.planning.time import sampling_seconds
from OnPolicyDistill.planning.workload import ASSUMED_PROMPTS, NO_ADAPTER, PromptFacts, Workload
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.evaluation import EvaluationSettings, VariantSettings
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.training import OptimizerSettings

ASSUMED_INPUT_TOKENS = 64
ASSUMED_PROMPT_TOKENS = 2000
ASSUMED_HELD_OUT = 64
TEMPLATE_TOKENS = 32
LARGEST_READ_BYTES = 50_000_000
# Of surgery's second stage (trainers/projector/asking.py); a place is 28 x 28 pixels at least.
ASKED_AT_ONCE, WAYS_TO_ASK, SMALLEST_PLACE_PIXELS = 8, 4, 784


@dataclass(frozen=True, slots=True)
class Stage:
    """A model that answers `num_answers` inputs, `work.settings.batch_size` at a time."""

    name: str
    work: Workload
    num_answers: int

    def seconds(self, chip: Chip) -> float:
        """Time of the whole stage on a chip, loading apart."""
        return sampling_seconds(self.work.student, self.work, chip, self.num_answers)


def answering_stages(config: RunConfig) -> tuple[Stage, ...]:
    """Stages of a config in which a model only answers; none for the other methods.

    Raises:
        ModelError: a model is unknown or damaged.
    """
    match config:
        case OnPolicyConfig() | SftConfig() | VlmDistillationConfig() | GrpoConfig():
            return ()
        case ProjectorConfig():
            return tuple(_of_projector(config.projector))
        case PromptDistillationConfig():
            return tuple(_of_prompt_distillation(config.prompt_distillation))
        case EvaluationConfig():
            settings = config.evaluation
            return tuple(_of_variant(settings, variant) for variant in settings.variants)
        case _:
            assert_never(config)


def measure_inputs(file: str | None, sight: Sight | None = None) -> PromptFacts:
    """Estimate a file of inputs from its characters; assume what cannot be known yet.

    A picture is taken to be as large as `sight` lets it be.

    Raises:
        DatasetError: an input has a picture, and there is no `sight`; names the line.
    """
    path = None if file is None else Path(file)
    if path is None or not is_set(path) or _num_bytes(path) > LARGEST_READ_BYTES:
        source = f"assumed: {ASSUMED_PROMPTS} inputs of {ASSUMED_INPUT_TOKENS} tokens"
        return PromptFacts(ASSUMED_PROMPTS, ASSUMED_INPUT_TOKENS, ASSUMED_INPUT_TOKENS, source)
    stamp = tuple((str(each), each.stat().st_mtime_ns) for each in set_files(path))
    return _measured(path, sight, stamp)


@lru_cache(maxsize=16)
def _measured(path: Path, sight: Sight | None, _stamp: tuple[tuple[str, int], ...]) -> PromptFacts:
    """Measure a file, again only when it has changed: many plans may ask for the same."""
    items = _readable_items(path, sight)
    places = 0 if sight is None else largest_picture(sight)
    lengths = [(len(item.text), places * len(item.pictures)) for item in items]
    if path.suffix.lower() != ".parquet" and path.is_file() and not any(n for _, n in lengths):
        texts = path.read_text(encoding="utf-8", errors="replace").splitlines()
        lengths = [(len(line), 0) for line in texts if line.strip()]
    tokens = [n // CHARACTERS_PER_TOKEN + TEMPLATE_TOKENS + more for n, more in lengths or [(1, 0)]]
    mean = math.ceil(sum(tokens) / len(tokens))
    source = f"estimated from characters: {len(tokens)} inputs of {path}"
    return PromptFacts(len(tokens), mean, max(tokens), source)


def _num_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in set_files(path))


def _readable_items(path: Path, sight: Sight | None) -> list[LabelledItem]:
    items: list[LabelledItem] = []
    for line, item in read_items(path):
        if isinstance(item, LabelledItem):
            items.append(item)
            if item.pictures and sight is None:
                told = unread_picture(line)
                raise DatasetError(told.message, told.fix, path, line)
    return items


def _of_prompt_distillation(settings: PromptDistillationSettings) -> Iterator[Stage]:
    batch = OptimizerSettings(batch_size=settings.rows_per_step, gradient_accumulation_steps=1)
    teacher = describe_model(settings.teacher_model, settings.mixed_precision)
    student = describe_model(settings.student_model, settings.mixed_precision)
    sight = common_sight((settings.student_model, settings.teacher_model), settings)
    inputs = measure_inputs(settings.inputs, sight)
    held_out = min(_num_held_out(settings, sight), settings.eval_inputs or ASSUMED_PROMPTS)
    asked = _with_prompt(inputs, settings.teacher_prompt or "")
    thinking, answer = settings.max_thinking_tokens, settings.max_answer_tokens

    work = Workload(batch, teacher, None, _until(thinking), settings.lora, asked, 0)
    num_inputs = min(inputs.num_prompts, settings.max_inputs or inputs.num_prompts)
    num_answers = (num_inputs + held_out) * settings.num_samples
    yield Stage("generating", work, num_answers if settings.generated_from is None else 0)
    work = Workload(batch, student, None, _until(answer), settings.lora, asked, 0)
    yield Stage("evaluating", work, 3 * held_out)


def _of_projector(settings: ProjectorSettings) -> Iterator[Stage]:
    """Questions at the end: without thinking, with it, and with wrong and blank pictures."""
    batch = OptimizerSettings(batch_size=ASKED_AT_ONCE, gradient_accumulation_steps=1)
    student = grafted_facts(settings)
    until = _until(settings.max_thinking_tokens)
    tokens = min(settings.max_length, settings.pixel_limits[1] // SMALLEST_PLACE_PIXELS)
    asked = PromptFacts(settings.thinking_prompts, tokens, tokens, "questions with a picture")
    work = Workload(batch, student, None, until, NO_ADAPTER, asked, 0)
    yield Stage("evaluating", work, WAYS_TO_ASK * settings.thinking_prompts)


def _of_variant(settings: EvaluationSettings, variant: VariantSettings) -> Stage:
    batch = OptimizerSettings(batch_size=settings.batch_size, gradient_accumulation_steps=1)
    model = describe_model(variant.model, settings.mixed_precision)
    inputs = measure_inputs(settings.inputs, common_sight([variant.model], settings))
    asked = inputs if variant.prompt is None else _with_prompt(inputs, variant.prompt)
    work = Workload(batch, model, None, _until(variant.max_answer_tokens), None, asked, 0)
    num_items = min(inputs.num_prompts, settings.max_samples or inputs.num_prompts)
    return Stage(variant.name, work, num_items)


def _num_held_out(settings: PromptDistillationSettings, sight: Sight | None) -> int:
    if settings.validation_inputs is None:
        return ASSUMED_HELD_OUT
    return measure_inputs(settings.validation_inputs, sight).num_prompts


def _with_prompt(inputs: PromptFacts, file: str) -> PromptFacts:
    path = Path(file)
    tokens = ASSUMED_PROMPT_TOKENS
    if file and path.is_file():
        tokens = math.ceil(path.stat().st_size / CHARACTERS_PER_TOKEN)
    return PromptFacts(
        inputs.num_prompts,
        inputs.typical_tokens + tokens,
        inputs.longest_tokens + tokens,
        f"{inputs.source}; a prompt of about {tokens} tokens",
    )


def _until(max_tokens: int) -> DistillationSettings:
    """What a workload asks for the length of completions."""
    return DistillationSettings(max_generation_tokens=max_tokens)
