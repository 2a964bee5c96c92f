"""What would refuse a run of vision adapter surgery, or should be known before it."""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.datasets.conversation_linter import lint_conversations
from OnPolicyDistill.datasets.linter import LintReport, Ruler
from OnPolicyDistill.datasets.set_files import is_set
from OnPolicyDistill.errors import ModelError
from OnPolicyDistill.planning.checks import Checkup
from OnPolicyDistill.planning.grafts import thinks_by_choice
from OnPolicyDistill.planning.leakage import Files, check_leakage
from OnPolicyDistill.planning.lengths import pictured_ruler
from OnPolicyDistill.settings.projector import ProjectorSettings

BLOCK = "projector"
FEW_HELD_OUT = 20


def check_graft(check: Checkup, settings: ProjectorSettings) -> None:
    """Check both models, both files, rate and disk."""
    _check_thinking(check, settings)
    ruler = _ruler(settings)
    check.prompts = _lint(check, settings, "conversations", ruler)
    check.validation = _lint(check, settings, "validation_conversations", ruler)
    _check_held_out(check, settings)
    check.check_rate(settings)
    check.check_disk()


def _check_thinking(check: Checkup, settings: ProjectorSettings) -> None:
    field = f"{BLOCK}.{'grafted' if settings.grafted_model else 'language'}_model"
    try:
        is_good = thinks_by_choice(settings)
    except ModelError as error:
        check.add("error", "model", field, error.message, error.action)
        return
    if not is_good:
        name = settings.grafted_model or settings.language_model
        message = f"The thinking of {name} cannot be turned off and on."
        fix = "Name one that can do both, such as qwen3-4b; the 2507 releases cannot."
        check.add("error", "no_switch", field, message, fix)


def _ruler(settings: ProjectorSettings) -> Ruler:
    try:
        return pictured_ruler(settings)
    except ModelError:
        # The check of the disk says it.
        return Ruler(max_prompt_tokens=settings.max_length)


def _lint(check: Checkup, settings: ProjectorSettings, key: str, ruler: Ruler) -> LintReport | None:
    field = f"{BLOCK}.{key}"
    training, held = settings.conversations, settings.validation_conversations
    file = training if key == "conversations" else held
    if file is None:
        kind = "training" if key == "conversations" else "held-out"
        message = f"No {kind} conversations are named; a run without them is refused."
        check.add("error", "no_file", field, message, f"Set {field} to a file of conversations.")
        return None
    if not is_set(Path(file)):
        message = f"There are no conversations {file}."
        check.add("error", "no_file", field, message, "Check the path.")
        return None
    if ruler.sight is None:
        # Without a tower pictures cannot be measured; the check of the disk says why there is none.
        return None
    other = training if key != "conversations" and training and is_set(Path(training)) else None
    path, against = Path(file), None if other is None else Path(other)
    report = check.told(field, path, lambda: lint_conversations(path, against, ruler))
    if report is not None and report.num_prompts and report.pictures is None:
        message = f"{file} has no pictures, so there is nothing to see in it."
        check.add("error", "no_pictures", field, message, 'Name them: "images": ["picture.png"].')
    return report


def _check_held_out(check: Checkup, settings: ProjectorSettings) -> None:
    if check.validation is None:
        return
    field = f"{BLOCK}.validation_conversations"
    if settings.conversations and settings.validation_conversations:
        names = (settings.conversations, settings.validation_conversations)
        check_leakage(check, Files(*names, field, "conversations"))
    if check.validation.num_prompts < FEW_HELD_OUT:
        message = f"Only {check.validation.num_prompts} held-out conversations: numbers will jump."
        check.add("warning", "few_held_out", field, message, "Fifty or more are steady.")
