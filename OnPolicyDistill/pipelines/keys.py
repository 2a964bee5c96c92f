"""The key of a stage: equal keys mean that the run would end with the same, so it is not repeated.

It is the hash of the run's settings, with the contents of every file and adapter in the place of
its path. A model in a folder counts by its files' names, sizes and times, since hashing tens of
gigabytes would take longer than some stages; one of the hub counts by its name. Pictures that lie
beside a file are not looked at.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from OnPolicyDistill.config import BLOCK_OF_METHOD, RunConfig, parse_config, settings_of
from OnPolicyDistill.methods import MODEL_KEYS
from OnPolicyDistill.presets import LISTED, PATH_KEYS
from OnPolicyDistill.registry import find_model
from OnPolicyDistill.runs.directory import config_hash

ADAPTER_FILES = ("adapter_config.json", "adapters.safetensors")


def stage_key(config: RunConfig) -> str:
    """Return the key of a run with these settings, 16 hexadecimal digits."""
    values = _by_content(settings_of(config).model_dump())
    return config_hash(
        parse_config({"method": config.method, BLOCK_OF_METHOD[config.method]: values})
    )


def _by_content(values: Mapping[str, object]) -> dict[str, object]:
    changed = dict(values)
    for key, value in values.items():
        if key in LISTED and isinstance(value, list | tuple):
            changed[key] = [_by_content(dict(inner)) for inner in value]
        elif isinstance(value, str) and key in PATH_KEYS:
            changed[key] = content_mark(Path(value))
        elif isinstance(value, str) and key in MODEL_KEYS:
            changed[key] = _model_mark(value)
    return changed


def content_mark(path: Path) -> str:
    """What a file or folder holds, in a word; a path that is not there is a word of its own."""
    if path.is_file():
        return f"file {_digest([path])}"
    if not path.is_dir():
        return f"absent {path}"
    own = [path / name for name in ADAPTER_FILES]
    if all(file.is_file() for file in own):
        return f"adapter {_digest(own)}"
    return f"folder {_listing(path, '**/*')}"


def _model_mark(name: str) -> str:
    folder = Path(name)
    if not folder.is_dir():
        known = find_model(name)
        if known is None or known.folder is None:
            return name
        folder = known.folder
    return f"{name} {_listing(folder, '*')}"


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]


def _listing(folder: Path, pattern: str) -> str:
    """Names, sizes and times of a folder's files."""
    digest = hashlib.sha256()
    for file in sorted(folder.glob(pattern)):
        if file.is_file():
            told = file.stat()
            name = file.relative_to(folder).as_posix()
            digest.update(f"{name} {told.st_size} {told.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:32]
