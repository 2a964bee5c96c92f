"""Runs that were scored ahead: what their teachers say is on disk, so that none has to be loaded.

Scoring leaves a mark in the cache's folder, by the settings that decide which rows are asked. It
travels with the folder to another Mac, and its plan then needs no room for the teacher.
"""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.config import OnPolicyConfig
from OnPolicyDistill.files import kind_of, make_private, write_text_atomically
from OnPolicyDistill.runs.directory import config_hash

FOLDER = "scored"
PATHS = (
    *("prompts", "validation_prompts", "student_model", "teacher_model"),
    *("student_adapter", "teacher_adapter"),
)


def note_scored(config: OnPolicyConfig) -> None:
    """Note that all that a run with these settings asks before it learns is on disk."""
    file = _mark(config)
    make_private(file.parent)
    write_text_atomically(file, "")


def is_scored(config: OnPolicyConfig) -> bool:
    """Whether a run asks its teacher nothing that was not scored ahead.

    With a teacher that stays, completions are written anew, which nobody can have scored.
    """
    settings = config.distillation
    if settings.teacher_cache_dir is None or settings.keep_teacher_loaded:
        return False
    file = _mark(config)
    return kind_of(file) is None and file.exists()


def _mark(config: OnPolicyConfig) -> Path:
    folder = Path(str(config.distillation.teacher_cache_dir)).expanduser()
    values = config.distillation.model_dump()
    # Files and models lie elsewhere on another Mac; what they are called stays.
    names = {key: Path(values[key]).name for key in PATHS if isinstance(values[key], str)}
    anywhere = config.distillation.model_copy(update={**names, "teacher_cache_dir": FOLDER})
    return folder / FOLDER / config_hash(config.model_copy(update={"distillation": anywhere}))
