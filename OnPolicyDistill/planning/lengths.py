"""How many prompts a run has and how long they are: from its files, or assumed without them."""

from __future__ import annotations

from dataclasses import replace
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
from OnPolicyDistill.datasets.chat_template import ChatTemplate
from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.conversations import read_conversations
from OnPolicyDistill.datasets.linter import CHARACTERS_PER_TOKEN, LintReport, Ruler, lint_prompts
from OnPolicyDistill.datasets.picture_prompts import UNREAD
from OnPolicyDistill.datasets.set_files import is_set
from OnPolicyDistill.datasets.tokenizer_files import load_tokenizer_files
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.pictures import Sight
from OnPolicyDistill.planning.answering import measure_inputs
from OnPolicyDistill.planning.grafts import sight_of
from OnPolicyDistill.planning.models import describe_model
from OnPolicyDistill.planning.sight import common_sight
from OnPolicyDistill.planning.workload import ASSUMED_PROMPTS, PromptFacts, blind_model
from OnPolicyDistill.registry import local_folder
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings

ASSUMED_PROMPT_TOKENS = 256
ASSUMED_PROBLEM_TOKENS = 128
ASSUMED_HELD_OUT = 64
TEMPLATE_TOKENS = 32


def measure_prompts(config: RunConfig) -> PromptFacts:
    """Count and measure the training prompts; assume what cannot be known yet.

    Raises:
        DatasetError: the file that the config names cannot be read.
        ModelError: the student's tokenizer or template is damaged.
    """
    match config:
        case OnPolicyConfig():
            return _prompts(config.distillation, ruler_of(config.distillation))
        case VlmDistillationConfig():
            return _pictured(config.vlm_distillation)
        case GrpoConfig():
            grpo = config.grpo
            return _prompts(grpo, ruler_of_model(grpo.model, grpo.max_prompt_tokens))
        case ProjectorConfig():
            return _pictured_conversations(config.projector)
        case SftConfig():
            return _conversations(config.sft)
        case PromptDistillationConfig():
            return _rows_without_prompt(config.prompt_distillation)
        case EvaluationConfig():
            settings = config.evaluation
            models = [variant.model for variant in settings.variants]
            return measure_inputs(settings.inputs, common_sight(models, settings))
        case _:
            assert_never(config)


def _prompts(settings: DistillationSettings | GrpoSettings, ruler: Ruler) -> PromptFacts:
    """Prompts of the file where one is named, cut to the longest that is trained on."""
    limit = settings.max_prompt_tokens
    if settings.prompts is None:
        assumed = min(ASSUMED_PROMPT_TOKENS, limit)
        source = f"assumed: no prompts are named, so prompts of {assumed} tokens"
        return PromptFacts(ASSUMED_PROMPTS, assumed, assumed, source)
    facts = _from_file(Path(settings.prompts), ruler)
    return replace(
        facts,
        typical_tokens=min(facts.typical_tokens, limit),
        longest_tokens=min(facts.longest_tokens, limit),
    )


def _pictured(settings: VlmDistillationSettings) -> PromptFacts:
    """Prompts with their pictures; without a file words, and a picture as large as it may be."""
    vision = describe_model(settings.student_model).dimensions.vision
    if vision is None:
        raise blind_model(settings.student_model)
    if settings.prompts is not None:
        return _prompts(settings, ruler_of(settings))
    places = vision.num_places(settings.max_pixels)
    assumed = min(ASSUMED_PROBLEM_TOKENS + places, settings.max_prompt_tokens)
    source = (
        f"assumed: no prompts are named, so {ASSUMED_PROBLEM_TOKENS} tokens of words and a picture "
        f"of {places} tokens each"
    )
    return PromptFacts(ASSUMED_PROMPTS, assumed, assumed, source)


def _pictured_conversations(settings: ProjectorSettings) -> PromptFacts:
    """Conversations with their pictures; assumed as one picture each, as large as it may be."""
    ruler = pictured_ruler(settings)
    limit = settings.max_length
    if settings.conversations is None or ruler.sight is None:
        size = ruler.sight.place_size if ruler.sight else 1
        places = max(settings.pixel_limits[1] // size**2, 1)
        tokens = min(ASSUMED_PROBLEM_TOKENS + places, limit)
        source = (
            f"assumed: no conversations are named, so {ASSUMED_PROBLEM_TOKENS} tokens of words and "
            f"a picture of {places} tokens each"
        )
        return PromptFacts(ASSUMED_PROMPTS, tokens, tokens, source)
    path = Path(settings.conversations)
    facts = _facts(lint_conversations(path, None, ruler), f"conversations of {path}")
    return replace(
        facts,
        typical_tokens=min(facts.typical_tokens, limit),
        longest_tokens=min(facts.longest_tokens, limit),
    )


def _held_out_pictured(settings: ProjectorSettings) -> int:
    """Read twice, with the right pictures and with others."""
    wanted = settings.eval_conversations
    file = settings.validation_conversations
    if file is None or not is_set(Path(file)):
        return 2 * (wanted or ASSUMED_HELD_OUT)
    available = sum(1 for _ in read_conversations(Path(file)))
    return 2 * min(wanted or available, available)


def pictured_ruler(settings: ProjectorSettings) -> Ruler:
    """Measure as a grafted model will: its words with its tokenizer, its pictures in places.

    Raises:
        ModelError: a model is unknown, damaged, or cannot be grafted.
    """
    model = settings.grafted_model or settings.language_model
    return replace(ruler_of_model(model, settings.max_length), sight=sight_of(settings))


def count_held_out(config: RunConfig) -> int:
    """How many held-out prompts an evaluation uses.

    Raises:
        DatasetError: the file has pictures that the method does not read.
    """
    match config:
        case OnPolicyConfig():
            return _held_out_prompts(config.distillation)
        case VlmDistillationConfig():
            return _held_out_prompts(config.vlm_distillation)
        case GrpoConfig():
            return _held_out_prompts(config.grpo)
        case ProjectorConfig():
            return _held_out_pictured(config.projector)
        case SftConfig():
            return _held_out_conversations(config.sft)
        case PromptDistillationConfig():
            prompted = config.prompt_distillation
            sight = _sight_of_pair(prompted)
            available = measure_inputs(prompted.validation_inputs, sight).num_prompts
            return min(available, prompted.eval_inputs or available)
        case EvaluationConfig():
            return 0
        case _:
            assert_never(config)


def _held_out_conversations(settings: SftSettings) -> int:
    held_out = settings.validation_conversations
    if held_out is None or not is_set(Path(held_out)):
        return ASSUMED_HELD_OUT
    ruler = Ruler(sight=common_sight([settings.model], settings))
    return _readable(lint_conversations(Path(held_out), None, ruler)).num_prompts


def _held_out_prompts(settings: DistillationSettings | GrpoSettings) -> int:
    if settings.validation_prompts is None or not is_set(Path(settings.validation_prompts)):
        return settings.eval_prompts or ASSUMED_HELD_OUT
    ruler = Ruler(sight=_sight_of(settings))
    available = _readable(lint_prompts(Path(settings.validation_prompts), None, ruler)).num_prompts
    wanted = max(1, round(settings.eval_fraction * available))
    return min(wanted, settings.eval_prompts or wanted)


def _rows_without_prompt(settings: PromptDistillationSettings) -> PromptFacts:
    """What the student learns from: inputs, with what it says where that is given (sft)."""
    inputs = measure_inputs(settings.inputs, _sight_of_pair(settings))
    longest_answer = settings.max_answer_tokens
    if settings.target == "thinking":
        longest_answer = settings.max_thinking_tokens
    answer = longest_answer if settings.training == "sft" else 0
    return replace(
        inputs,
        typical_tokens=min(inputs.typical_tokens + answer, settings.max_length),
        longest_tokens=min(inputs.longest_tokens + answer, settings.max_length),
    )


def _sight_of_pair(settings: PromptDistillationSettings) -> Sight | None:
    return common_sight((settings.student_model, settings.teacher_model), settings)


def _conversations(settings: SftSettings) -> PromptFacts:
    """Conversations of the file where one is named, else as long as they may be."""
    limit = settings.max_length
    if settings.conversations is None:
        source = f"assumed: no conversations are named, so {limit} tokens each"
        return PromptFacts(ASSUMED_PROMPTS, limit, limit, source)
    path = Path(settings.conversations)
    sight = common_sight([settings.model], settings)
    ruler = ruler_of_model(settings.model, limit, sight)
    report = _readable(lint_conversations(path, None, ruler))
    facts = _facts(report, f"conversations of {path}")
    return replace(
        facts,
        typical_tokens=min(facts.typical_tokens, limit),
        longest_tokens=min(facts.longest_tokens, limit),
    )


def ruler_of(settings: DistillationSettings) -> Ruler:
    """Measure as the student will: with its tokenizer and template where they are on disk.

    Raises:
        ModelError: they are damaged.
    """
    limit = settings.max_prompt_tokens
    return ruler_of_model(settings.student_model, limit, _sight_of(settings))


def _sight_of(settings: DistillationSettings | GrpoSettings) -> Sight | None:
    """How the student will read pictures; None for a method that reads words alone."""
    if not isinstance(settings, VlmDistillationSettings):
        return None
    return common_sight([settings.student_model], settings)


def ruler_of_model(model: str, max_tokens: int, sight: Sight | None = None) -> Ruler:
    """Measure with a model's tokenizer and template where they are on disk, else in characters.

    `sight` is how the method reads pictures; one that reads words alone has none.

    Raises:
        ModelError: they are damaged.
    """
    folder = local_folder(model)
    if folder is None:
        return Ruler(max_prompt_tokens=max_tokens, sight=sight)
    return Ruler(load_tokenizer_files(folder), ChatTemplate.load(folder), max_tokens, sight)


def _from_file(path: Path, ruler: Ruler) -> PromptFacts:
    return _facts(_readable(lint_prompts(path, ruler=ruler)), f"prompts of {path}")


def _readable(report: LintReport) -> LintReport:
    """The report of a file whose pictures, if it has any, are read.

    Raises:
        DatasetError: they would be left out; names the first line.
    """
    for found in report.findings:
        if found.code == UNREAD:
            raise DatasetError(found.message, found.fix, Path(report.path), found.line)
    return report


def _facts(report: LintReport, noun: str) -> PromptFacts:
    lengths = report.lengths
    if lengths.unit == "tokens":
        source = f"measured with the student's tokenizer: {report.num_prompts} {noun}"
        typical, longest = lengths.mean, lengths.longest
    else:
        source = f"estimated from characters: {report.num_prompts} {noun}"
        typical = lengths.mean / CHARACTERS_PER_TOKEN + TEMPLATE_TOKENS
        longest = lengths.longest // CHARACTERS_PER_TOKEN + TEMPLATE_TOKENS
    return PromptFacts(max(report.num_prompts, 1), max(round(typical), 1), max(longest, 1), source)
