"""Every method described once: what it is called, needs, measures and shows.

Config, command line, planning, backend and, over the API, the screen read these facts. What only
code can say (how a method trains, plans, is checked) stays where it belongs, in switches that mypy
finds incomplete; docs/architecture.md lists them under "Add a method".

An evaluation is a run kind as well, but no method: it trains nothing.
"""

from __future__ import annotations

from typing import Generic, Literal, TypedDict, TypeVar, assert_never, get_args

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from OnPolicyDistill.faces import (
    ANSWERS,
    DISTANCE,
    LOSS,
    REWARD,
    SIGHT,
    SURGERY,
    Face,
    Phase,
    PhaseWords,
    Shown,
    at_temperature,
    rewarded,
)
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.endpoint import TeacherEndpoint
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.settings.projector import ProjectorSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.settings.strict import Settings
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings

Method = Literal["on_policy", "prompt_distillation", "sft", "vlm_distillation", "grpo", "projector"]
RunKind = Literal[Method, "evaluation"]
METHODS: tuple[Method, ...] = get_args(Method)
RUN_KINDS: tuple[RunKind, ...] = get_args(RunKind)

TrainingSettings = (
    DistillationSettings
    | SftSettings
    | PromptDistillationSettings
    | VlmDistillationSettings
    | GrpoSettings
    | ProjectorSettings
)
RunSettings = TrainingSettings | EvaluationSettings

Holds = Literal["prompts", "conversations", "inputs", "text"]
Part = Literal["prompts", "validation", "teacher_prompt"]
T = TypeVar("T")


class EveryKind(TypedDict, Generic[T]):
    """Something for every run kind: a mapping of this type that forgets one fails mypy."""

    on_policy: T
    prompt_distillation: T
    sft: T
    vlm_distillation: T
    grpo: T
    projector: T
    evaluation: T


class ModelSetting(Shown):
    """A setting of the block that names a model, and the part that the model plays."""

    key: str
    role: Literal["student", "teacher", "tower"]


class FileSetting(Shown):
    """A setting of the block that names a file."""

    key: str
    title: str
    holds: Holds
    part: Part = Field(description="Its place in the check; also the option that names it.")
    required: bool = True
    needed: str = Field("", description="What it is for, said while it is empty.")


class KindFacts(Shown):
    """What there is to know of a run kind; `best_metric` decides which checkpoint is best."""

    name: RunKind
    block: str = Field(description="What its part of a config is called.")
    settings: SkipJsonSchema[type[Settings]] = Field(exclude=True)
    run_prefix: str
    title: str
    about: str = ""
    needs: str = ""
    gives: str = ""
    models: tuple[ModelSetting, ...] = ()
    files: tuple[FileSetting, ...]
    grafts: bool = Field(
        False, description="Its checkpoints hold a projector, and it gives a grafted model."
    )
    best_metric: str | None = Field(None, description="Its declaration says which way is better.")
    phases: tuple[PhaseWords, ...]
    face: Face


def _phases(titles: dict[Phase, str]) -> tuple[PhaseWords, ...]:
    return tuple(PhaseWords(phase=phase, title=title) for phase, title in titles.items())


_LEARNING: dict[Phase, str] = {
    "evaluating": "Evaluating",
    "learning": "Learning",
    "saving": "Saving",
}
_PAIR = (
    ModelSetting(key="teacher_model", role="teacher"),
    ModelSetting(key="student_model", role="student"),
)

_ON_POLICY = KindFacts(
    name="on_policy",
    block="distillation",
    settings=DistillationSettings,
    run_prefix="distill",
    title="On-policy distillation",
    about="The student writes, the teacher grades every token, and the distance between the two "
    "teaches.",
    needs="A teacher and a student that share their tokens, and two files of prompts.",
    gives="A small model that goes on as the big one would, measured on held-out prompts.",
    models=_PAIR,
    files=(
        FileSetting(
            key="prompts",
            title="Training prompts",
            holds="prompts",
            part="prompts",
            needed='a JSONL file of what the student practises on, one {"prompt": "..."} a line.',
        ),
        FileSetting(
            key="validation_prompts",
            title="Validation file",
            holds="prompts",
            part="validation",
            needed="held-out prompts of their own. Without them a run would only show that the "
            "student knows what it has seen.",
        ),
    ),
    best_metric="eval_reverse_kl",
    phases=_phases(
        {
            "loading": "Loading models",
            "generating": "Writing completions to keep",
            "scoring": "Scoring what is kept",
            "self_test": "Proving that it can learn",
            **_LEARNING,
        }
    ),
    face=DISTANCE,
)

_SFT = KindFacts(
    name="sft",
    block="sft",
    settings=SftSettings,
    run_prefix="sft",
    title="Supervised fine-tuning",
    about="One model learns from conversations that somebody has written. There is no teacher.",
    needs="One model, a file of conversations, and held-out conversations.",
    gives="An adapter that answers as the conversations do; also a start for the other two.",
    models=(ModelSetting(key="model", role="student"),),
    files=(
        FileSetting(
            key="conversations",
            title="Training conversations",
            holds="conversations",
            part="prompts",
            needed='a JSONL file with one {"messages": [...]} a line that ends with the '
            "assistant; prompt and completion, and ShareGPT, are read as well.",
        ),
        FileSetting(
            key="validation_conversations",
            title="Validation file",
            holds="conversations",
            part="validation",
            needed="held-out conversations of their own. Without them nothing tells learning from "
            "learning by heart.",
        ),
    ),
    best_metric="eval_loss",
    phases=_phases(
        {"loading": "Loading the model", "self_test": "Proving that it can learn", **_LEARNING}
    ),
    face=LOSS,
)

_PROMPT_DISTILLATION = KindFacts(
    name="prompt_distillation",
    block="prompt_distillation",
    settings=PromptDistillationSettings,
    run_prefix="prompt",
    title="Prompt distillation",
    about="A teacher that reads a long prompt answers your inputs; a student learns to answer the "
    "same without the prompt.",
    needs="Two models, the prompt, inputs, and held-out inputs. Right answers are optional.",
    gives="A fast student, compared with its teacher: accuracy, tokens and seconds an answer.",
    models=_PAIR,
    files=(
        FileSetting(
            key="teacher_prompt",
            title="Teacher's prompt",
            holds="text",
            part="teacher_prompt",
            needed="a text file with the long prompt that the student will do without.",
        ),
        FileSetting(
            key="inputs",
            title="Inputs",
            holds="inputs",
            part="prompts",
            needed="what the teacher answers and the student learns. One text a line, CSV with a "
            "text and perhaps a label, or JSONL.",
        ),
        FileSetting(
            key="validation_inputs",
            title="Validation file",
            holds="inputs",
            part="validation",
            needed="held-out inputs of their own, in any of the same forms. With right answers "
            "the evaluation shows accuracy; without, only agreement with the teacher.",
        ),
    ),
    best_metric=_SFT.best_metric,
    phases=_phases(
        {
            "loading": "Loading models",
            "generating": "The teacher answers",
            "self_test": "Proving that it can learn",
            **_LEARNING,
        }
    ),
    face=LOSS.model_copy(update={"report": "answers", "stages": ("generate", "train", "evaluate")}),
)

# With a teacher that scores, nothing is generated: the training stage is that of on-policy.
_SCORED_PROMPT_DISTILLATION = _PROMPT_DISTILLATION.model_copy(
    update={
        "best_metric": _ON_POLICY.best_metric,
        "phases": _ON_POLICY.phases,
        "face": DISTANCE.model_copy(update={"report": "answers", "stages": ("train", "evaluate")}),
    }
)

_VLM_DISTILLATION = KindFacts(
    name="vlm_distillation",
    block="vlm_distillation",
    settings=VlmDistillationSettings,
    run_prefix="vlm",
    title="Vision distillation",
    about="On-policy distillation of models that see: the student looks at the pictures and "
    "writes, the teacher looks at the same and grades every token.",
    needs="A vision-language teacher and student that cut pictures alike, and two files of "
    "problems with pictures.",
    gives="A small model that reasons about pictures as the big one would, with two controls that "
    "tell seeing from guessing.",
    models=_PAIR,
    files=(
        FileSetting(
            key="prompts",
            title="Training problems",
            holds="prompts",
            part="prompts",
            needed="what the student practises on: JSONL with images beside it, parquet as "
            "GEO3K is published, or a folder.",
        ),
        FileSetting(
            key="validation_prompts",
            title="Validation file",
            holds="prompts",
            part="validation",
            needed="held-out problems with pictures of their own. Without them a run would only "
            "show that the student knows what it has seen.",
        ),
    ),
    best_metric=_ON_POLICY.best_metric,
    phases=_ON_POLICY.phases,
    face=SIGHT,
)

_GRPO = KindFacts(
    name="grpo",
    block="grpo",
    settings=GrpoSettings,
    run_prefix="grpo",
    title="GRPO",
    about="The model answers each prompt several times, code grades the answers, and the better "
    "ones become likelier. There is no teacher.",
    needs="One model that is right now and then, prompts with answers, and held-out ones.",
    gives="An adapter that is right more often, measured on held-out prompts.",
    models=(ModelSetting(key="model", role="student"),),
    files=(
        FileSetting(
            key="prompts",
            title="Training prompts",
            holds="prompts",
            part="prompts",
            needed='a JSONL file with {"prompt": "...", "answer": "..."} a line; the answer is '
            "what completions are graded by.",
        ),
        FileSetting(
            key="validation_prompts",
            title="Validation file",
            holds="prompts",
            part="validation",
            needed="held-out prompts with answers of their own. Rewards of the training prompts "
            "rise as well where a model learns to please the grader.",
        ),
    ),
    best_metric="eval_accuracy",
    phases=_phases(
        {"loading": "Loading the model", "self_test": "Proving that it can learn", **_LEARNING}
    ),
    face=REWARD,
)

_PROJECTOR = KindFacts(
    name="projector",
    block="projector",
    settings=ProjectorSettings,
    run_prefix="projector",
    title="Vision surgery",
    about="A vision tower is grafted on a language model, and a projector between them learns what "
    "pictures mean in its words. Both models stay as they are.",
    needs="A Qwen2.5-VL for its tower, a Qwen3 that can turn thinking off, and two files of "
    "conversations about pictures.",
    gives="A model that sees, asked afterwards with and without thinking, and with wrong pictures.",
    models=(
        ModelSetting(key="vision_model", role="tower"),
        ModelSetting(key="language_model", role="student"),
    ),
    files=(
        FileSetting(
            key="conversations",
            title="Training conversations",
            holds="conversations",
            part="prompts",
            needed="conversations about pictures that end with the assistant: JSONL with images "
            "beside it, LLaVA's layout, parquet, or a folder.",
        ),
        FileSetting(
            key="validation_conversations",
            title="Validation file",
            holds="conversations",
            part="validation",
            needed="held-out conversations with pictures of their own. Without them a run would "
            "only show that the projector knows what it has seen.",
        ),
    ),
    best_metric=_SFT.best_metric,
    grafts=True,
    phases=_phases(
        {
            "loading": "Loading models and pictures",
            "self_test": "Proving that it can learn",
            **_LEARNING,
        }
    ),
    face=SURGERY,
)

_EVALUATION = KindFacts(
    name="evaluation",
    block="evaluation",
    settings=EvaluationSettings,
    run_prefix="eval",
    title="Evaluation",
    files=(FileSetting(key="inputs", title="Labelled items", holds="inputs", part="prompts"),),
    phases=_phases({"loading": "Loading models", "evaluating": "Evaluating"}),
    face=ANSWERS,
)

FACTS: EveryKind[KindFacts] = {
    "on_policy": _ON_POLICY,
    "prompt_distillation": _PROMPT_DISTILLATION,
    "sft": _SFT,
    "vlm_distillation": _VLM_DISTILLATION,
    "grpo": _GRPO,
    "projector": _PROJECTOR,
    "evaluation": _EVALUATION,
}
ALL_FACTS: tuple[KindFacts, ...] = tuple(FACTS[kind] for kind in RUN_KINDS)
# Settings of any method that name a model or a file; an evaluation's variants name a `model`.
MODEL_KEYS = tuple(dict.fromkeys(model.key for facts in ALL_FACTS for model in facts.models))
FILE_KEYS = tuple(dict.fromkeys(file.key for facts in ALL_FACTS for file in facts.files))


def facts_of(settings: RunSettings) -> KindFacts:
    """What holds of a run with these settings."""
    match settings:
        case DistillationSettings():
            return _distilled(settings)
        case PromptDistillationSettings():
            return _prompted(settings)
        case SftSettings():
            return _SFT
        case GrpoSettings():
            return _rewarded(settings)
        case ProjectorSettings():
            return _PROJECTOR
        case EvaluationSettings():
            return _EVALUATION
        case _:
            assert_never(settings)


def endpoints_of(settings: RunSettings) -> dict[str, TeacherEndpoint]:
    """Where a run's teachers are served, by the setting that says so; empty where none is."""
    return settings.endpoints if isinstance(settings, DistillationSettings) else {}


def scoring_models_of(settings: RunSettings) -> dict[str, str] | None:
    """Models that a distillation loads to score, by setting; None for a method of another kind."""
    return settings.teacher_models if isinstance(settings, DistillationSettings) else None


def folder_of_answers(settings: RunSettings) -> str | None:
    """The folder with all that a run's teacher says, where that one leaves before it learns."""
    if isinstance(settings, DistillationSettings) and not settings.keep_teacher_loaded:
        return settings.teacher_cache_dir
    return None


def teacher_to_ask(settings: RunSettings) -> str | None:
    """The model that answers as a run's teacher: of several the first that is loaded here."""
    if isinstance(settings, DistillationSettings) and settings.teachers:
        return next(iter(settings.teacher_models.values()), None)
    return models_of(settings)[1]


def models_to_load(settings: RunSettings) -> list[str]:
    """Every model that a run loads, each once; an evaluation's variants name theirs."""
    student, teacher = models_of(settings)
    scoring = scoring_models_of(settings)
    teachers = [teacher] if scoring is None else [*scoring.values()]
    return [name for name in dict.fromkeys([student, *teachers]) if name is not None]


def models_of(settings: RunSettings) -> tuple[str | None, str | None]:
    """Return who learns and its teacher, of which a run may have only one, or neither."""
    match settings:
        case DistillationSettings():
            return settings.student_model, settings.teacher_name
        case PromptDistillationSettings():
            return settings.student_model, settings.teacher_model
        case SftSettings() | GrpoSettings():
            return settings.model, None
        case ProjectorSettings():
            return settings.grafted_model or settings.language_model, None
        case EvaluationSettings():
            return None, None
        case _:
            assert_never(settings)


def _distilled(settings: DistillationSettings) -> KindFacts:
    """A teacher that leaves leaves its own completions to measure on, which is another metric."""
    facts = _VLM_DISTILLATION if isinstance(settings, VlmDistillationSettings) else _ON_POLICY
    if not settings.keep_teacher_loaded:
        facts = facts.model_copy(update={"best_metric": "eval_off_policy_reverse_kl"})
    return _softened(facts, settings.temperature)


def _prompted(settings: PromptDistillationSettings) -> KindFacts:
    """It trains in two ways."""
    if settings.training == "on_policy":
        return _softened(_SCORED_PROMPT_DISTILLATION, settings.temperature)
    return _PROMPT_DISTILLATION


def _softened(facts: KindFacts, temperature: float) -> KindFacts:
    return facts.model_copy(update={"face": at_temperature(facts.face, temperature)})


def _rewarded(settings: GrpoSettings) -> KindFacts:
    kinds = tuple(reward.kind for reward in settings.rewards)
    face = rewarded(_GRPO.face, kinds, settings.beta > 0, settings.num_iterations > 1)
    return _GRPO.model_copy(update={"face": face})
