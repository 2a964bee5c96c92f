"""The check before a run: settings, pair, prompt files, leakage and disk, all in one report.

It refuses nothing itself and raises nothing about the run: what would stop the run is an error in
the report, with the field that has to change.
"""

from __future__ import annotations

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
from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.input_linter import lint_inputs
from OnPolicyDistill.datasets.labelled import labels_of, load_items
from OnPolicyDistill.datasets.linter import LintReport, Ruler, lint_prompts
from OnPolicyDistill.datasets.set_files import is_set
from OnPolicyDistill.datasets.sight_files import DEFAULT_SIGHT
from OnPolicyDistill.datasets.teacher_keys import teachers_of
from OnPolicyDistill.errors import DatasetError, ModelError
from OnPolicyDistill.planning.check_report import CheckReport, PromptText
from OnPolicyDistill.planning.checks import Checkup
from OnPolicyDistill.planning.graft_check import check_graft
from OnPolicyDistill.planning.leakage import Files, check_leakage
from OnPolicyDistill.planning.lengths import ruler_of
from OnPolicyDistill.planning.models import describe_model, known_config
from OnPolicyDistill.planning.sharding import sharding_problem
from OnPolicyDistill.planning.sight import different_places
from OnPolicyDistill.planning.vision import VisionDimensions
from OnPolicyDistill.runs.directory import default_workspace
from OnPolicyDistill.settings.distillation import DistillationSettings
from OnPolicyDistill.settings.evaluation import EvaluationSettings
from OnPolicyDistill.settings.grpo import GrpoSettings
from OnPolicyDistill.settings.prompt_distillation import PromptDistillationSettings
from OnPolicyDistill.settings.sft import SftSettings
from OnPolicyDistill.settings.vlm_distillation import VlmDistillationSettings

FEW_HELD_OUT = 20
MANY_LABELS = 30
SHOWN_CHARACTERS = 2_000


def check_run(config: RunConfig, workspace: Path | None = None) -> CheckReport:
    """Check a run before anything is loaded or downloaded; `workspace` is where it will write."""
    check = Checkup(config, default_workspace() if workspace is None else workspace)
    check.check_architectures()
    match config:
        case OnPolicyConfig():
            _check_distillation(check, config.distillation, "distillation")
        case VlmDistillationConfig():
            _check_seeing(check, config.vlm_distillation)
        case ProjectorConfig():
            check_graft(check, config.projector)
        case SftConfig():
            _check_sft(check, config.sft)
        case PromptDistillationConfig():
            _check_prompt_distillation(check, config.prompt_distillation)
        case GrpoConfig():
            _check_grpo(check, config.grpo)
        case EvaluationConfig():
            _check_evaluation(check, config.evaluation)
        case _:
            assert_never(config)
    return check.report()


def _check_distillation(check: Checkup, settings: DistillationSettings, block: str) -> None:
    """Check pair, files, adapter and disk."""
    for key, endpoint in settings.endpoints.items():
        check.check_served(endpoint, f"{block}.{key}")
    for key, teacher in settings.teacher_models.items():
        wears_another = settings.teacher_adapter not in (None, settings.student_adapter)
        check.check_pair(settings.student_model, teacher, block, wears_another, key)
    _check_shards(check, settings, block)
    ruler = _ruler(check, settings)
    _check_prompts(check, settings, block, ruler)
    _check_teacher_keys(check, settings, block)
    check.check_turn_end(settings.student_model, f"{block}.student_model")
    check.check_rate(settings)
    check.check_adapter(settings.student_adapter, f"{block}.student_adapter")
    check.check_adapter(settings.teacher_adapter, f"{block}.teacher_adapter")
    check.check_disk()


def _check_teacher_keys(check: Checkup, settings: DistillationSettings, block: str) -> None:
    """Check that every line names one of the teachers, where there are several."""
    names = [teacher.name for teacher in settings.teachers]
    for key, file in (
        ("prompts", settings.prompts),
        ("validation_prompts", settings.validation_prompts),
    ):
        field = f"{block}.{key}"
        if not names or file is None or any(found.field == field for found in check.findings):
            continue
        try:
            teachers_of(Path(file), names)
        except DatasetError as error:
            where = f"{file}, line {error.line}: " if error.line else f"{file}: "
            check.add("error", "unknown_teacher", field, where + error.what, error.action)


def _check_shards(check: Checkup, settings: DistillationSettings, block: str) -> None:
    """Check that the teacher can be cut over as many ranks as are asked."""
    config = known_config(settings.teacher_model)
    if settings.teacher_shards > 1 and config is not None:
        problem = sharding_problem(config, settings.teacher_model, settings.teacher_shards)
        if problem is not None:
            field = f"{block}.teacher_shards"
            check.add("error", "shards", field, problem.message, problem.action)


def _check_seeing(check: Checkup, settings: VlmDistillationSettings) -> None:
    """Check that both models see, and alike; then as any distillation."""
    block, is_blind = "vlm_distillation", False
    seen: list[tuple[str, VisionDimensions]] = []
    for key, name in (
        ("student_model", settings.student_model),
        ("teacher_model", settings.teacher_model),
    ):
        try:
            vision = describe_model(name).dimensions.vision
        except ModelError:
            continue  # the pair check says it
        if vision is None:
            message = f"{name} is a text model: it sees no pictures."
            fix = "Name a vision-language model, such as qwen3-vl-4b-thinking."
            check.add("error", "sees_nothing", f"{block}.{key}", message, fix)
            is_blind = True
        else:
            seen.append((name, vision))
    if is_blind:
        # What follows would say of pair and files what follows from that alone.
        return
    if len(seen) == 2 and seen[0][1].place_size != seen[1][1].place_size:
        (student, own), (teacher, theirs) = seen
        message = (
            f"{student} cuts pictures into places of {own.place_size} pixels, {teacher} into "
            f"{theirs.place_size}: they read different tokens."
        )
        fix = "Take both from one family."
        check.add("error", "different_sight", f"{block}.student_model", message, fix)
    _check_distillation(check, settings, block)
    check.check_leaked_pictures(f"{block}.validation_prompts")


def _check_grpo(check: Checkup, settings: GrpoSettings) -> None:
    """Check the prompt files with their answers, a user's reward, adapter and disk."""
    _check_prompts(
        check, settings, "grpo", check.ruler_of(settings.model, settings.max_prompt_tokens)
    )
    for place, reward in enumerate(settings.rewards):
        if reward.kind == "python":
            check.needs_file(f"grpo.rewards.{place}.file", reward.file, "file of a reward")
    if settings.grading_kind != "python":
        _check_answers(check, settings.grading_kind)
    check.check_turn_end(settings.model, "grpo.model")
    check.check_rate(settings)
    check.check_adapter(settings.student_adapter, "grpo.student_adapter")
    check.check_disk()


def _check_answers(check: Checkup, kind: str) -> None:
    """What a reward compares with has to be in the lines of both files."""
    fix = 'Write "answer" into each line.'
    for key, report in (("prompts", check.prompts), ("validation_prompts", check.validation)):
        if report is None or report.num_answers == report.num_prompts:
            continue
        if report.num_answers == 0:
            message = f"None of the {report.num_prompts} prompts has an answer to grade by {kind}."
            check.add("error", "no_answers", f"grpo.{key}", message, fix)
        else:
            message = f"{report.num_prompts - report.num_answers} prompts have no answer."
            fix = 'They cannot be graded and teach nothing; write "answer" into each line.'
            check.add("warning", "few_answers", f"grpo.{key}", message, fix)


def _check_sft(check: Checkup, sft: SftSettings) -> None:
    """Check the files that supervised fine-tuning names, and the disk."""
    if sft.conversations is None or not is_set(Path(sft.conversations)):
        message = "No file of training conversations is named."
        if sft.conversations is not None:
            message = f"There is no file of training conversations {sft.conversations}."
        check.add("error", "no_file", "sft.conversations", message, "Name a JSONL file.")
    field = "sft.validation_conversations"
    if sft.validation_conversations is None:
        message = "No held-out conversations are named; a run without them is refused."
        fix = f"Set {field} to a file of conversations. Hold back a tenth: opd data split."
        check.add("error", "no_file", field, message, fix)
    elif not is_set(Path(sft.validation_conversations)):
        message = f"There is no file of held-out conversations {sft.validation_conversations}."
        check.add("error", "no_file", field, message, "Check the path.")
    ruler = check.ruler_of(sft.model, sft.max_length, check.sight_of([sft.model], sft))

    def lint(key: str, file: str | None, other: str | None) -> LintReport | None:
        if file is None or not is_set(Path(file)):
            return None
        path, against = Path(file), None if other is None else Path(other)
        return check.told(f"sft.{key}", path, lambda: lint_conversations(path, against, ruler))

    check.prompts = lint("conversations", sft.conversations, None)
    training = None if check.prompts is None else sft.conversations
    key = "validation_conversations"
    check.validation = lint(key, sft.validation_conversations, training)
    if sft.conversations and sft.validation_conversations:
        names = (sft.conversations, sft.validation_conversations)
        check_leakage(check, Files(*names, f"sft.{key}", "conversations"))
    check.check_leaked_pictures(f"sft.{key}")
    check.check_turn_end(sft.model, "sft.model", learns_answers=True)
    check.check_rate(sft)
    check.check_adapter(sft.student_adapter, "sft.student_adapter")
    check.check_disk()


def _check_prompt_distillation(check: Checkup, settings: PromptDistillationSettings) -> None:
    """Check files, adapter and disk; on-policy training needs a pair, if two models take part."""
    block = "prompt_distillation"
    if settings.training == "on_policy" and not settings.is_self_distillation:
        check.check_pair(settings.student_model, settings.teacher_model, block)
    _check_teacher_prompt(check, settings)
    _check_inputs(check, settings)
    if settings.training == "on_policy" and check.prompts is not None and check.prompts.pictures:
        told = different_places(settings.student_model, settings.teacher_model, settings)
        if told is not None:
            fix = "Take both from one family, or set training to sft."
            check.add("error", "different_sight", f"{block}.student_model", told, fix)
    check.check_turn_end(settings.student_model, f"{block}.student_model")
    check.check_rate(settings, settings.max_inputs)
    check.check_adapter(settings.student_adapter, f"{block}.student_adapter")
    check.check_disk()


def _check_teacher_prompt(check: Checkup, settings: PromptDistillationSettings) -> None:
    field, file = "prompt_distillation.teacher_prompt", settings.teacher_prompt
    if not check.needs_file(field, file, "teacher's prompt") or file is None:
        return
    ruler = check.ruler_of(settings.teacher_model, settings.max_length)
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        message = f"{file} is no readable text file."
        check.add("error", "no_text", field, message, "Save it as UTF-8.")
        return
    if not text.strip():
        check.add("error", "no_text", field, f"{file} is empty.", "Write the prompt into it.")
    check.teacher_prompt = PromptText(
        path=file,
        length=ruler.measure([text])[0],
        unit="tokens" if ruler.tokenizer else "characters",
        beginning=text[:SHOWN_CHARACTERS],
    )


def _check_inputs(check: Checkup, settings: PromptDistillationSettings) -> None:
    """Lint both files of inputs, each against the other's and against the labels."""
    inputs, held_out = settings.inputs, settings.validation_inputs
    sight = check.sight_of((settings.student_model, settings.teacher_model), settings)
    ruler = check.ruler_of(settings.student_model, settings.max_length, sight)
    block = "prompt_distillation"

    def lint(key: str, file: str | None, other: str | None, title: str) -> LintReport | None:
        field = f"{block}.{key}"
        if not check.needs_file(field, file, title) or file is None:
            return None
        path, against = Path(file), None if other is None else Path(other)
        return check.told(field, path, lambda: lint_inputs(path, against, ruler, labels))

    labels = settings.labels
    check.prompts = lint("inputs", inputs, None, "file of inputs")
    training = None if check.prompts is None else inputs
    check.validation = lint("validation_inputs", held_out, training, "file of held-out inputs")
    field = f"{block}.validation_inputs"
    if inputs and held_out:
        # The run itself leaves them out of what is learned.
        few = "They will not be trained on."
        check_leakage(check, Files(inputs, held_out, field, "inputs", few))


def _check_evaluation(check: Checkup, settings: EvaluationSettings) -> None:
    """Check variants, their files, the items and the disk."""
    _check_items(check, settings)
    if not settings.variants:
        message = "The evaluation names no variants."
        fix = "Name a model, perhaps with an adapter or a prompt."
        check.add("error", "no_variants", "evaluation.variants", message, fix)
        return
    for number, variant in enumerate(settings.variants):
        field = f"evaluation.variants.{number}"
        if variant.prompt is not None:
            check.needs_file(f"{field}.prompt", variant.prompt, "prompt")
        check.check_adapter(variant.adapter, f"{field}.adapter")
    check.check_disk()


def _check_items(check: Checkup, settings: EvaluationSettings) -> None:
    """Lint the labelled items; without gold there has to be a list of labels."""
    field, file, labels = "evaluation.inputs", settings.inputs, settings.labels
    if not check.needs_file(field, file, "file of labelled items") or file is None:
        return
    models = [variant.model for variant in settings.variants]
    ruler = Ruler(sight=check.sight_of(models, settings))
    found = check.told(field, Path(file), lambda: lint_inputs(Path(file), None, ruler, labels))
    check.validation = found
    if found is None or labels is not None or found.num_errors:
        return
    items = [item for item in load_items(Path(file), sees=True) if item.grader is None]
    names = labels_of(items)
    if len(names) > max(MANY_LABELS, found.num_answers // 2):
        message = f"The items have {len(names)} different labels: they look like free answers."
        fix = "Answers are compared with labels word for word; name the labels that count."
        check.add("warning", "free_answers", field, message, fix)
    if found.num_prompts and not found.num_answers:
        message = "No item has a gold label, and no labels are named."
        check.add("error", "no_labels", field, message, "Name the labels, or add gold.")


def _ruler(check: Checkup, settings: DistillationSettings) -> Ruler:
    try:
        return ruler_of(settings)
    except ModelError:
        # The pair check has said it already; lengths are then counted in characters.
        sight = DEFAULT_SIGHT if isinstance(settings, VlmDistillationSettings) else None
        return Ruler(max_prompt_tokens=settings.max_prompt_tokens, sight=sight)


def _check_prompts(
    check: Checkup, settings: DistillationSettings | GrpoSettings, block: str, ruler: Ruler
) -> None:
    """Lint both prompt files, the held-out one against the other."""
    check.prompts = _lint(check, f"{block}.prompts", settings.prompts, None, ruler)
    training = None if check.prompts is None else settings.prompts
    field = f"{block}.validation_prompts"
    check.validation = _lint(check, field, settings.validation_prompts, training, ruler)
    _check_held_out(check, settings, field)


def _lint(
    check: Checkup, field: str, file: str | None, other: str | None, ruler: Ruler
) -> LintReport | None:
    if file is None:
        kind = "training" if field.endswith(".prompts") else "held-out"
        message = f"No {kind} prompts are named; a run without them is refused."
        check.add("error", "no_file", field, message, f"Set {field} to a JSONL file.")
        return None
    path, against = Path(file), None if other is None else Path(other)
    return check.told(field, path, lambda: lint_prompts(path, against, ruler))


def _check_held_out(
    check: Checkup, settings: DistillationSettings | GrpoSettings, field: str
) -> None:
    if check.validation is None:
        return
    if settings.prompts and settings.validation_prompts:
        names = (settings.prompts, settings.validation_prompts)
        check_leakage(check, Files(*names, field, "prompts"))
    if check.validation.num_prompts < FEW_HELD_OUT:
        message = f"Only {check.validation.num_prompts} held-out prompts: numbers will jump."
        check.add("warning", "few_held_out", field, message, "Fifty or more are steady.")
