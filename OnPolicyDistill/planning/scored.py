"""Runs that were scored ahead: what their teachers say is on disk, so that none has to be loaded.

Scoring leaves a mark in the cache's folder, by the settings and prompts that decide which rows are
asked. It travels with the folder to another Mac, and its plan then needs no room for the teacher.
"""

from __future__ import annotations

from pathlib import Path

from OnPolicyDistill.config import BLOCK_OF_METHOD, RunConfig, settings_of
from OnPolicyDistill.datasets.file_digests import digest_of_set
from OnPolicyDistill.errors import DatasetError
from OnPolicyDistill.files import kind_of, make_private, write_text_atomically
from OnPolicyDistill.methods import folder_of_answers
from OnPolicyDistill.runs.directory import config_hash

FOLDER = "scored"
MODELS = ("student_model", "teacher_model", "student_adapter", "teacher_adapter")
PROMPTS = ("prompts", "validation_prompts")


def note_scored(config: RunConfig) -> None:
    """Note that all that a run with these settings asks before it learns is on disk."""
    file = _mark(config)
    if file is not None:
        make_private(file.parent)
        write_text_atomically(file, "")


def is_scored(config: RunConfig) -> bool:
    """Whether a run asks its teacher nothing that was not scored ahead."""
    file = _mark(config)
    return file is not None and kind_of(file) is None and file.exists()


def _mark(config: RunConfig) -> Path | None:
    """The mark of settings and of their prompts, as they read now.

    None where completions are written anew, which nobody has scored, or prompts cannot be read.
    """
    settings = settings_of(config)
    folder = folder_of_answers(settings)
    if folder is None:
        return None
    values = settings.model_dump()
    # Files and models lie elsewhere on another Mac; what they are called stays, and what is asked.
    names = {key: Path(values[key]).name for key in MODELS if isinstance(values[key], str)}
    try:
        named = {key: Path(values[key]) for key in PROMPTS if isinstance(values[key], str)}
        names |= {key: digest_of_set(path).sha256 for key, path in named.items()}
    except DatasetError:
        return None
    anywhere = settings.model_copy(update={**names, "teacher_cache_dir": FOLDER})
    block = BLOCK_OF_METHOD[config.method]
    marked = config_hash(config.model_copy(update={block: anywhere}))
    return Path(folder).expanduser() / FOLDER / marked
