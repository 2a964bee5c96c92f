"""Paths that a user names: probed before they are opened, since a pipe or a device would hang."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from OnPolicyDistill.config import BLOCK_OF_METHOD, RunConfig, settings_of
from OnPolicyDistill.datasets.set_files import is_set
from OnPolicyDistill.errors import ConfigError, InputError
from OnPolicyDistill.methods import FILE_KEYS, MODEL_KEYS

MAX_PATH_CHARACTERS = 4096
FOLDER_KEYS = (
    *MODEL_KEYS,
    "student_adapter",
    "teacher_adapter",
    "adapter",
    "generated_from",
    "teacher_cache_dir",
)
NAMED_FILES = (*FILE_KEYS, "prompt")


class PathError(InputError):
    """A path that names nothing that can be used."""

    code = "invalid_path"


def probe(text: str) -> Path:
    """Return a path as the file system knows it, whether or not something is there.

    Raises:
        PathError: no file system could have it, or it may not be looked at.
    """
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise PathError(f"{text[:200]!r} is no usable path ({reason}).", "Check it.") from error
    return path


def picked_file(text: str) -> Path:
    """Return the real path of a regular file that the user picked.

    Raises:
        PathError: it is not absolute, not there, or no regular file.
    """
    path = _absolute(text)
    if not path.exists():
        raise PathError(f"There is no file {path}.", "Check the path.")
    resolved = path.resolve()
    if not stat.S_ISREG(resolved.stat().st_mode):
        raise PathError(f"{path} is no regular file.", "Pick a file.")
    return resolved


def picked_folder(text: str) -> Path:
    """Return the real path of a folder that the user picked.

    Raises:
        PathError: it is not absolute, or no folder.
    """
    path = _absolute(text)
    if not path.is_dir():
        raise PathError(f"There is no folder {path}.", "Check the path.")
    return path.resolve()


def check_named_paths(config: RunConfig) -> None:
    """Refuse a config whose files or models cannot be looked at without harm.

    Raises:
        ConfigError: names the field.
    """
    for field, text, is_file in _named(config):
        if text is None:
            continue
        try:
            path = probe(text)
        except PathError as error:
            raise ConfigError(error.message, error.action, ((field, error.message),)) from error
        if is_file and path.exists() and not path.is_file() and not is_set(path):
            message = f"{text} is no regular file, and no folder of one set."
            raise ConfigError(message, "Name a JSONL or parquet file.", ((field, message),))


def _absolute(text: str) -> Path:
    path = probe(text)
    if not path.is_absolute():
        raise PathError(f"{text[:200]!r} is not an absolute path.", "Give it from the root on.")
    return path


def _named(config: RunConfig) -> Iterator[tuple[str, str | None, bool]]:
    """Yield field, value and whether it is a file, for everything that may be a path."""
    block = BLOCK_OF_METHOD[config.method]
    values = settings_of(config).model_dump()
    yield from _named_in(block, values)
    for key in ("variants", "teachers"):
        for number, listed in enumerate(values.get(key, ())):
            yield from _named_in(f"{block}.{key}.{number}", listed)


def _named_in(prefix: str, values: Mapping[str, object]) -> Iterator[tuple[str, str | None, bool]]:
    for key in (*FOLDER_KEYS, *NAMED_FILES):
        value = values.get(key)
        if isinstance(value, str):
            yield f"{prefix}.{key}", value, key in NAMED_FILES
